// Parts of the console refresh themselves. When one cannot, the page says so, why, and since when.
"use strict";

const REASONS = {
  0: "The server cannot be reached.",
  401: "Your session has ended.",
  403: "You may no longer see this.",
};
let refreshedAt = new Date();

function sayThatItIsOld(status) {
  const reason = REASONS[status] || `The server answers with ${status}.`;
  const text = `Not refreshed since ${refreshedAt.toISOString().slice(11, 19)} UTC. ${reason} `;
  const before = document.getElementById("not-refreshed");
  if (before && before.dataset.text === text) {
    return; // said already: a screen reader would say it every two seconds
  }
  before?.remove();
  const note = document.createElement("p");
  note.id = "not-refreshed";
  note.className = "errornote";
  note.role = "alert";
  note.dataset.text = text;
  note.append(text);
  if (status === 401) {
    const link = document.createElement("a");
    link.href = location.href;
    link.textContent = "Sign in again";
    note.append(link);
  }
  document.getElementById("content").prepend(note);
}

document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.successful) {
    refreshedAt = new Date();
    document.getElementById("not-refreshed")?.remove();
  } else {
    sayThatItIsOld(event.detail.xhr.status);
  }
});

// What is unfolded stays so when its part is replaced, and a change of state is said once.
let unfolded = [];
let title = document.title;

document.addEventListener("htmx:beforeSwap", () => {
  unfolded = [...document.querySelectorAll("details[id][open]")].map((one) => one.id);
});

document.addEventListener("htmx:afterSwap", () => {
  for (const id of unfolded) {
    document.getElementById(id)?.setAttribute("open", "");
  }
});

document.addEventListener("htmx:afterSettle", () => {
  const announced = document.getElementById("announced");
  if (announced && document.title !== title) {
    title = announced.textContent = document.title;
  }
});
