"use strict";

const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");

// Swagger UI has a dark face of its own; it goes with the theme of the other pages.
function follow() {
  const chosen = root.dataset.bsTheme;
  root.classList.toggle("dark-mode", chosen ? chosen === "dark" : system.matches);
}
system.addEventListener("change", follow);
follow();

const place = document.getElementById("docs");
SwaggerUIBundle({
  url: place.dataset.description,
  domNode: place,
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: -1,
  displayRequestDuration: true,
  // A typed key stays in this page's memory: not in local storage, and gone with a reload.
  persistAuthorization: false,
  validatorUrl: null,
});
