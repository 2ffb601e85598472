// What every searchable page does: copy buttons, a key that leads to the search, room for what stays at the top,
// and reading what the page holds compressed.
"use strict";
const searchablePage = (() => {
  async function copy(button) {
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code); // no access to the clipboard: one keystroke is left
      button.textContent = "Selected";
    }
    setTimeout(() => (button.textContent = "Copy"), 1500);
  }

  document.addEventListener("click", (event) => {
    if (event.target.matches("button.copy")) copy(event.target);
  });

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      const search = document.getElementById("search");
      search.focus();
      search.select();
    }
  });

  // What a link jumps to must not end up below what stays at the top of a wide page.
  function keepClearOf(pinned) {
    new ResizeObserver(() => {
      const covered = getComputedStyle(pinned).position === "sticky" ? pinned.offsetHeight : 0;
      document.documentElement.style.scrollPaddingTop = `${covered + 12}px`;
    }).observe(pinned);
  }

  // JSON, gzipped and in Base64, which is a tenth of it. Nothing is loaded: the page holds it all.
  async function packed(id) {
    const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (each) => each.charCodeAt(0));
    const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(plain).json();
  }

  return { keepClearOf, packed };
})();
