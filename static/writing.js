// Boxes in which somebody writes. A draft is kept in this browser until its text is stored, the box grows, and
// characters are counted before they are too many. Without JavaScript a text is safe once it is sent.
"use strict";

const MAX_CHARACTERS = 10_000; // code points, with line ends as \n: as the server counts them
const COUNTED_FROM = 9_000;
const DRAFT_DAYS = 30;
const writer = document.body.dataset.person; // nobody in particular has no drafts

// --- drafts, one for each person and form

function keyOf(box) {
  return `draft ${JSON.stringify([writer, new URL(box.form.action).pathname])}`;
}

function store(work) {
  try {
    return work(localStorage);
  } catch {
    return null; // it is switched off, or full
  }
}

function draftOf(box) {
  return store((storage) => JSON.parse(storage.getItem(keyOf(box))));
}

function keep(box) {
  const draft = { text: box.value, original: box.form.elements.original?.value, at: Date.now() };
  if (box.value === box.defaultValue || !box.value.trim()) {
    store((storage) => storage.removeItem(keyOf(box)));
  } else if (writer) {
    store((storage) => {
      storage.setItem(keyOf(box), JSON.stringify(draft));
      isKept(box);
    });
  }
}

function isKept(box) {
  box.dataset.kept = "";
  box.autocomplete = "off"; // whoever goes back finds the draft, or an empty box once it is stored
}

function restore(box) {
  const draft = writer && draftOf(box);
  const given = box.value;
  const typed = given !== box.defaultValue; // by somebody who was quicker than this script
  if (typed && !draft) {
    keep(box);
  }
  if (!draft || draft.text === given) {
    return;
  }
  isKept(box);
  if (!box.form.elements.original) {
    const known = !typed && draft.text.includes(given); // a quote that is in the draft already
    box.value = known ? draft.text : `${draft.text.trimEnd()}\n\n${given}`;
    if (typed) {
      keep(box);
    }
    offer(box, "This was not sent yet.", "Discard it", { text: given });
  } else if (typed) {
    offer(box, "There is an older text that was not sent.", "Use it", draft);
  } else {
    offer(box, "This was not sent yet.", "Discard it", put(box, draft));
  }
}

// Returns what was there. The original comes with its text, so that a change that came meanwhile is noticed.
function put(box, { text, original }) {
  const field = box.form.elements.original;
  const before = { text: box.value, original: field?.value };
  box.value = text;
  if (field) {
    field.value = original;
  }
  return before;
}

function offer(box, words, action, draft) {
  const note = document.createElement("p");
  const button = document.createElement("button");
  note.className = "quiet draft";
  note.append(`${words} `, button);
  Object.assign(button, { type: "button", className: "link", textContent: action });
  button.addEventListener("click", () => {
    put(box, draft);
    keep(box); // or forget it, if nothing of it is the writer's
    note.remove();
    attend(box);
    box.focus();
  });
  box.after(note);
}

// A toast names the person and the form whose draft may go; without a form, all of the person's.
function forget(toast) {
  const [person, path] = JSON.parse(toast.dataset.drops);
  const key = `draft ${JSON.stringify([person, path])}`;
  const gone = (one) => (path ? one === key : one.startsWith(`draft [${JSON.stringify(person)},`));
  delete toast.dataset.drops;
  store((storage) => Object.keys(storage).filter(gone).forEach((one) => storage.removeItem(one)));
}

function forgetOld() {
  const old = Date.now() - DRAFT_DAYS * 24 * 3600 * 1000;
  store((storage) => Object.keys(storage)
    .filter((key) => key.startsWith("draft ") && JSON.parse(storage.getItem(key)).at < old)
    .forEach((key) => storage.removeItem(key)));
}

// --- the box

function attend(box) {
  if (!CSS.supports("field-sizing", "content")) {
    box.style.height = "auto";
    box.style.height = `${box.scrollHeight + 2}px`;
  }
  const characters = box.value.length < COUNTED_FROM ? 0 : [...box.value].length;
  let counter = box.parentElement.querySelector(".counter");
  if (characters < COUNTED_FROM) {
    counter?.remove();
    return;
  }
  if (!counter) {
    counter = document.createElement("p");
    counter.className = "counter quiet";
    counter.append(document.createElement("span"), document.createElement("span"));
    counter.firstChild.ariaHidden = "true";
    counter.lastChild.className = "for-readers";
    counter.lastChild.role = "status";
    box.after(counter);
  }
  const over = characters - MAX_CHARACTERS;
  const number = (value) => value.toLocaleString("en");
  counter.classList.toggle("error", over > 0);
  counter.firstChild.textContent = over > 0
    ? `${number(over)} ${over === 1 ? "character" : "characters"} too many`
    : `${number(characters)} of ${number(MAX_CHARACTERS)} characters`;
  clearTimeout(counter.later); // a screen reader hears of it after a pause, not at each letter
  counter.later = setTimeout(() => { counter.lastChild.textContent = counter.firstChild.textContent; }, 1_500);
}

const begun = new WeakSet();

function begin(part) {
  for (const box of part.querySelectorAll("form.write textarea")) {
    if (!begun.has(box)) {
      begun.add(box);
      restore(box);
      attend(box);
    }
  }
}

document.addEventListener("input", (event) => {
  if (event.target.matches("form.write textarea")) {
    keep(event.target);
    attend(event.target);
  }
});

document.addEventListener("keydown", (event) => {
  const form = event.target.closest("form.write");
  if (!form || event.isComposing) {
    return; // a key of somebody who writes Chinese is not for us
  }
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    form.requestSubmit();
  } else if (event.key === "Escape") {
    form.querySelector(".cancel")?.click();
  }
});

// Back on a page whose text was stored meanwhile: it is not to be sent once more.
addEventListener("pageshow", (event) => {
  for (const box of document.querySelectorAll("form.write textarea[data-kept]")) {
    if (event.persisted && !draftOf(box)) {
      box.value = box.defaultValue;
      attend(box);
    }
  }
});

const said = document.getElementById("toasts");
const forgetSaid = () => said.querySelectorAll("[data-drops]").forEach(forget);
new MutationObserver(forgetSaid).observe(said, { childList: true });
forgetSaid();
forgetOld();
begin(document); // before the first letter is noticed: it would be kept in place of a draft
document.addEventListener("htmx:load", (event) => begin(event.target));
