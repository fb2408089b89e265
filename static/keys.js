// Keys for whoever does not want to reach for the mouse. `?` lists them; there they can be switched off.
"use strict";

const list = document.getElementById("keys");
const OFF = "keys are off";

function areOff() {
  try {
    return OFF in localStorage;
  } catch {
    return false; // storage is switched off
  }
}

function step(by) {
  const stops = [...document.querySelectorAll("main .card, main .comment")];
  const here = stops.indexOf(document.activeElement.closest(".card, .comment"));
  const above = stops.filter((stop) => stop.getBoundingClientRect().top < 0).length;
  const next = here >= 0 ? here + by : above + Math.min(by, 0);
  if (stops[next]) {
    stops[next].tabIndex = -1;
    stops[next].focus({ preventScroll: true });
    stops[next].scrollIntoView();
  }
}

function search() {
  const field = document.querySelector("[type=search]");
  field?.focus();
  return Boolean(field);
}

function write() {
  const box = document.querySelector(`form[action="${list.dataset.write}"] textarea`);
  if (box) {
    box.focus();
  } else {
    location.assign(list.dataset.write);
  }
}

const KEYS = { // what each does; false: nothing, so that the browser may
  "?": () => list.showModal(),
  "/": search,
  n: write,
  j: () => step(1),
  k: () => step(-1),
};

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  const modified = event.ctrlKey || event.altKey || event.metaKey || event.isComposing;
  if (Object.hasOwn(KEYS, event.key) && !typing && !modified && !list.open && !areOff()) {
    if (KEYS[event.key]() !== false) {
      event.preventDefault(); // of what has the focus now it would be the first letter
    }
  }
});

const on = list.querySelector("input");
on.checked = !areOff();
on.addEventListener("change", () => {
  try {
    on.checked ? localStorage.removeItem(OFF) : localStorage.setItem(OFF, "");
  } catch {
    on.checked = true; // it cannot be remembered
  }
});

const opener = document.getElementById("show-keys");
opener.hidden = false;
opener.addEventListener("click", () => list.showModal());
