// Not a module: runs before the first paint, so that the page never flashes in the other theme.
"use strict";
try {
  const theme = localStorage.getItem("livecomments.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // No storage: the system's theme it is.
}
