/**
 * Style elements that are sheets: the page's policy takes no style that a script writes into an element, and takes what a script puts into
 * a sheet of its own. xterm.js styles what it draws by such elements. Who controls the inputs: xterm.js (its styles).
 */

/** Looks like a style element to whoever writes into it. */
function sheetElement(place: Document): HTMLElement {
  const sheet = new CSSStyleSheet();
  const element = Document.prototype.createElement.call(place, "span");
  element.hidden = true;
  place.adoptedStyleSheets.push(sheet);
  Object.defineProperty(element, "textContent", {
    get: () => "",
    set(css: string) {
      sheet.replaceSync(css);
    },
  });
  element.remove = () => {
    place.adoptedStyleSheets = place.adoptedStyleSheets.filter((each) => each !== sheet);
    HTMLElement.prototype.remove.call(element);
  };
  return element;
}

/** What is drawn has them in place of style elements; all is as it was when that returns. */
export function sheeted(place: Document, draw: () => void): void {
  const make = (tag: string, options?: ElementCreationOptions): HTMLElement =>
    tag === "style" ? sheetElement(place) : Document.prototype.createElement.call(place, tag, options);
  Object.defineProperty(place, "createElement", { value: make, configurable: true });
  try {
    draw();
  } finally {
    Reflect.deleteProperty(place, "createElement");
  }
}

/** Once for all terminals. */
export function adopted(place: Document, css: string): void {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(css);
  place.adoptedStyleSheets.push(sheet);
}
