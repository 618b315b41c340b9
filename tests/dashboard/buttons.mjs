// Which buttons the pages have, and which of them some test has pressed.

/** All that was seen and pressed, each button named by its page, its part of the page and its words. */
export class Buttons {
  seen = new Set();
  pressed = new Set();

  /** Notes the buttons of all pages of a context. */
  async watch(context) {
    await context.exposeBinding("noteButton", (_, kind, name) => void this[kind].add(name));
    await context.addInitScript(note);
  }

  /** Those that no test has pressed. */
  get untouched() {
    // The list may be drawn under the address of the input that is being opened from it.
    const onTheList = (name) => name.replace(/^\/inputs\/:uid/, "/");
    const isPressed = (name) => this.pressed.has(name) || this.pressed.has(onTheList(name));
    return [...this.seen].filter((name) => !isPressed(name)).sort();
  }
}

/** Runs in the page. */
function note() {
  const known = new Set();
  const words = (element) => {
    const copy = element.cloneNode(true);
    for (const heard of copy.querySelectorAll(".heard")) heard.remove();
    const text = copy.textContent.trim();
    // It says so for a moment after it was pressed.
    const seen = text === "Copied" ? "Copy" : text;
    // What has no words to be seen has a name to be heard, of which the first word is its own.
    const heard = element.textContent.trim().split(/\s+/)[0];
    return seen || element.getAttribute("aria-label") || heard;
  };
  // What several pages have in common is one and the same button wherever it stands.
  const shared = { ".top": "any page", ".heading": "any page of an input", ".sign-in": "signing in" };
  // Where a page was first seen: it stays a while when the address is that of the next page already,
  // and may be drawn anew meanwhile.
  const homes = new WeakMap();
  const home = (button) => {
    const [, common] = Object.entries(shared).find(([part]) => button.closest(part)) ?? [];
    if (common) return common;
    const page = button.closest("main > *") ?? button;
    if (!homes.has(page)) {
      const path = location.pathname.replace(/[0-9a-f]{32}/g, ":uid");
      // The parts of an input are one page.
      homes.set(page, path.replace(/^(\/inputs\/:uid).*/, "$1"));
    }
    return homes.get(page);
  };
  const nameOf = (button) => {
    const page = home(button);
    const dialog = button.closest("dialog");
    const part = dialog?.querySelector("h2")?.textContent.split(" ")[0];
    return [page, part, words(button)].filter(Boolean).join(" › ");
  };
  const tell = (kind, button) => {
    const name = nameOf(button);
    if (known.has(kind + name)) return;
    known.add(kind + name);
    window.noteButton(kind, name);
  };
  const look = () => {
    for (const button of document.querySelectorAll("button")) tell("seen", button);
  };
  document.addEventListener("DOMContentLoaded", () => {
    new MutationObserver(look).observe(document, { childList: true, subtree: true });
    look();
  });
  const press = (event) => {
    const button = event.target instanceof Element && event.target.closest("button");
    if (button) tell("pressed", button);
  };
  document.addEventListener("click", press, true);
}
