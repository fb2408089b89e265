// What htmx leaves to the page: to say that something failed. Without JavaScript none of it is needed.
"use strict";

function say(text) {
  document.getElementById("notice").textContent = text;
}

document.addEventListener("htmx:beforeSwap", (event) => {
  const answer = event.detail.xhr;
  const catchesUp = event.detail.requestConfig.elt.matches(".behind");
  if (catchesUp && event.detail.target.querySelector("textarea")) {
    event.detail.shouldSwap = false; // it would overwrite what somebody is writing
  } else if ([412, 422].includes(answer.status) || answer.getResponseHeader("HX-Retarget")) {
    event.detail.shouldSwap = true; // a form with its error or with both texts, or a refusal in words
    event.detail.isError = false;
  } else if (answer.status >= 400 && event.detail.requestConfig.verb !== "get") {
    say("That did not work. Load the page again and try once more.");
  }
});

document.addEventListener("htmx:sendError", (event) => {
  if (event.detail.requestConfig.verb !== "get") {
    say("The site cannot be reached. Nothing was sent.");
  }
});

document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.requestConfig.verb !== "get") {
    say("");
  }
});

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
