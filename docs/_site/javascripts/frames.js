/* Pictures that a slider leafs through. Without this script, and on paper, they stand side by side (lesson.css). */
(() => {
  function element(tag, properties, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  function leaf(whole) {
    const frames = [...whole.querySelectorAll(":scope > .frame")], last = frames.length - 1;
    const captions = frames.map((frame) => frame.querySelector("figcaption").textContent);

    function show(number) {
      frames.forEach((frame, i) => frame.classList.toggle("now", i === number));
      slider.value = number;
      slider.setAttribute("aria-valuetext", captions[number]);
      words.textContent = captions[number];
      before.setAttribute("aria-disabled", number === 0);
      next.setAttribute("aria-disabled", number === last);
    }

    const words = element("p", { className: "stepper-words" });
    words.setAttribute("aria-live", "polite");
    const slider = element("input", { type: "range", min: 0, max: last, value: 0 });
    slider.setAttribute("aria-label", whole.getAttribute("aria-label"));
    const before = element("button", { type: "button" }, "Back"), next = element("button", { type: "button" }, "Next");
    before.addEventListener("click", () => show(Math.max(0, slider.value - 1)));
    next.addEventListener("click", () => show(Math.min(last, +slider.value + 1)));
    slider.addEventListener("input", () => show(+slider.value));
    const controls = element("div", { className: "stepper-controls" }, before, slider, next);
    show(0);
    whole.append(element("div", { className: "stepper" }, words, controls));
    whole.classList.add("leafed");
  }

  const page = () => document.querySelectorAll(".frames:not(.leafed)").forEach(leaf);
  if (window.document$) window.document$.subscribe(page);
  else page();
})();
