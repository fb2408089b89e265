// What a page says by itself, and buttons that are at work. Without JavaScript none of it is needed.
"use strict";

const SHOWN_MS = 8_000; // a toast, unless the pointer or the focus is on it
const STUCK_MS = 15_000; // after which a form that led nowhere can be sent again
const REASONS = {
  0: "The site cannot be reached.",
  403: "This page is of an earlier session. Load it again.",
  503: "The site cannot answer now.",
};

// --- toasts: what is put into #toasts, by the server, by htmx or by `say`, is shown and announced

const toasts = document.getElementById("toasts");

function say(text, kind = "") {
  const toast = document.createElement("p");
  toast.className = `toast ${kind}`;
  toast.textContent = text;
  toasts.append(toast);
}

function show(toast) {
  toasts.querySelectorAll(".toast:not(.error)").forEach((one) => one === toast || one.remove());
  const close = document.createElement("button");
  close.type = "button";
  close.className = "close";
  close.ariaLabel = "Dismiss";
  close.textContent = "×";
  close.addEventListener("click", () => {
    toast.remove();
    document.getElementById("content").focus({ preventScroll: true });
  });
  toast.append(close);
  if (!toast.matches(".error")) {
    leaveLater(toast);
  }
}

function leaveLater(toast) {
  setTimeout(() => {
    if (document.hidden || toast.matches(":hover, :focus-within")) {
      leaveLater(toast);
    } else {
      toast.remove();
    }
  }, SHOWN_MS);
}

new MutationObserver((changes) => {
  for (const toast of changes.flatMap((one) => [...one.addedNodes])) {
    if (toast.matches?.(".toast:not(:has(.close))")) {
      show(toast);
    }
  }
}).observe(toasts, { childList: true });

// Screen readers announce what comes into a live region, not what was there from the beginning.
setTimeout(() => toasts.append(...toasts.children), 200);
addEventListener("pagehide", () => toasts.replaceChildren()); // or going back would show it again

// --- buttons at work: they show it, and cannot be pressed twice

function work(element, begins) {
  const buttons = element.matches("button") ? [element] : element.querySelectorAll("button:not([type])");
  element.toggleAttribute("data-works", begins);
  for (const button of buttons) {
    for (const name of ["aria-busy", "aria-disabled"]) { // `disabled` would take the focus away
      if (begins) {
        button.setAttribute(name, "true");
      } else {
        button.removeAttribute(name);
      }
    }
  }
}

for (const name of ["click", "submit"]) {
  document.addEventListener(name, (event) => {
    const pressed = name === "submit" ? event.target : event.target.closest("button");
    if (pressed?.matches("[data-works], [aria-busy=true]")) {
      event.preventDefault();
      event.stopImmediatePropagation();
    }
  }, true);
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") {
    return; // htmx sends it
  }
  if (!navigator.onLine) {
    event.preventDefault();
    say("You are offline. Nothing was sent, and what you wrote is still here.", "error");
    return;
  }
  work(form, true);
  setTimeout(() => work(form, false), STUCK_MS);
});

addEventListener("pageshow", (event) => {
  if (event.persisted) {
    document.querySelectorAll("[data-works]").forEach((one) => work(one, false));
  }
});

// --- the heart turns at once, and back if it was not to be

function turn(heart) {
  const liked = heart.getAttribute("aria-pressed") !== "true";
  const count = (text) => text.replace(/\d+/, (number) => Number(number) + (liked ? 1 : -1));
  heart.setAttribute("aria-pressed", liked);
  heart.ariaLabel = count(heart.ariaLabel);
  heart.textContent = count(heart.textContent).replace(/[♡♥]/, liked ? "♥" : "♡");
}

// --- htmx

const changes = (event) => event.detail.requestConfig.verb !== "get";
const polls = (elt) => elt.hasAttribute("hx-trigger");
const done = (xhr) => xhr.status >= 200 && xhr.status < 300;
// A form with its error or with both texts, or a refusal in words.
const isShown = (xhr) => [412, 422].includes(xhr.status) || xhr.getResponseHeader("HX-Retarget");

document.addEventListener("htmx:beforeRequest", (event) => {
  const { elt } = event.detail.requestConfig;
  if (polls(elt)) {
    if (document.hidden) {
      event.preventDefault(); // asked for once it is looked at
    }
    return;
  }
  toasts.querySelectorAll(".error").forEach((one) => one.remove());
  if (changes(event)) {
    work(elt, true);
    if (elt.matches(".like")) {
      turn(elt);
    }
  }
});

document.addEventListener("htmx:afterRequest", (event) => {
  const { requestConfig: { elt }, xhr } = event.detail;
  if (changes(event) && !xhr.getResponseHeader("HX-Redirect")) {
    work(elt, false);
    if (elt.matches(".like") && !done(xhr)) {
      turn(elt);
    }
  }
  if (!polls(elt) && !done(xhr) && !isShown(xhr)) {
    const kept = elt.querySelector("textarea") ? " Your text is still here." : "";
    say(`${REASONS[xhr.status] ?? "That did not work."}${kept} Try again in a moment.`, "error");
  }
});

let left = null; // the id of the part that had the focus and goes

document.addEventListener("htmx:beforeSwap", (event) => {
  const { requestConfig: { elt }, target, xhr } = event.detail;
  if (elt.matches(".behind") && target.querySelector("textarea")) {
    event.detail.shouldSwap = false; // it would overwrite what somebody is writing
  } else if (isShown(xhr) && !polls(elt)) {
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  }
  left = target.contains(document.activeElement) ? target.id : null;
});

// Who has saved or cancelled stays where they were: at the post or comment that takes the form's place.
// Without a delay, swapping and settling are one task: no other answer comes between.
document.addEventListener("htmx:afterSettle", () => {
  const part = left && document.getElementById(left);
  left = null;
  if (part && document.activeElement === document.body) {
    part.tabIndex = -1;
    part.focus({ preventScroll: true });
  }
});

addEventListener("offline", () => {
  say("You are offline. What you write is kept in this browser.", "error offline");
});
addEventListener("online", () => toasts.querySelector(".offline")?.remove());

// Whoever types a password may look at it: one button a form, for all its password fields.
document.addEventListener("htmx:load", (event) => {
  for (const form of event.target.querySelectorAll("form:has(input[type=password])")) {
    const fields = form.querySelectorAll("input[type=password]");
    const button = document.createElement("button");
    const show = (shown) => {
      fields.forEach((field) => { field.type = shown ? "text" : "password"; });
      button.textContent = shown ? "Hide password" : "Show password";
    };
    Object.assign(button, { type: "button", className: "link show" });
    button.addEventListener("click", () => show(fields[0].type === "password"));
    form.addEventListener("submit", () => show(false)); // else browsers do not offer to keep it
    show(false);
    fields[0].after(button);
  }
});
