// What is known of the thing under the pointer, or of what has the focus, goes to the line below its picture.
for (const event of ["pointerover", "focusin", "click"]) {
  document.addEventListener(event, ({ target }) => {
    const tipped = target.closest("[data-tip]");
    const line = tipped && tipped.closest("section").querySelector(".tip");
    if (line) line.textContent = tipped.dataset.tip;
  });
}
