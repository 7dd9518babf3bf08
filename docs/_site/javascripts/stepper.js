/* A graph that is followed step by step. Its figure carries both passes as data; the controls below it show one step
   at a time. Without this script the figure is complete, and there are no controls. */
(() => {
  const $ = (selector, from = document) => from.querySelector(selector);
  const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const plain = { inf: Infinity, "-inf": -Infinity, nan: NaN }; // what JSON cannot hold comes as text
  const read = (x) => plain[x] ?? x;

  /* Four digits, as Python writes them in the figure: a half goes to the even digit. */
  function number(x) {
    if (!Number.isFinite(x)) return Object.keys(plain).find((word) => Object.is(plain[word], x));
    const half = /^(-?\d\.\d\d[02468])50*(e.*)$/.exec(x.toExponential(60));
    const [digits, exponent] = (half ? half[1] + half[2] : x.toExponential(3)).split("e");
    const small = exponent >= -4 && exponent < 4;
    if (small) return String(+`${digits}e${exponent}`);
    return `${+digits}e${exponent[0]}${exponent.slice(1).padStart(2, "0")}`;
  }

  function element(tag, properties, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  function stepper(svg) {
    const { forward, backward } = JSON.parse(svg.dataset.trace);
    const last = forward.length + backward.length;
    const boxes = forward.map(({ node }) => $(`[data-step="${node}"]`, svg));
    const grads = boxes.map((box) => $(".grad", box));
    const complete = grads.map((text) => text.textContent);
    const values = boxes.map((box) => $(".value", box).textContent);
    const names = forward.map(({ name, slopes }, node) =>
      slopes.length || $(".label", boxes[node]) ? name : values[node]);
    const uses = $$("[data-to]", svg); // edges, and the slopes beside them

    /* What has arrived at each number when so many of the backward steps are done. */
    function arrived(steps) {
      const sums = forward.map(() => undefined);
      sums[sums.length - 1] = 1;
      for (const { contributions } of backward.slice(0, steps)) {
        for (const [parent, share] of contributions) sums[parent] = (sums[parent] ?? 0) + read(share);
      }
      return sums;
    }

    function forwardWords({ node, name, expression, slopes }) {
      const leaf = name === names[node] ? `${name} = ${values[node]}` : values[node];
      if (!slopes.length) return `${leaf}, a leaf.`;
      const towards = slopes.map(([parent, slope]) => `${number(read(slope))} towards ${names[parent]}`);
      return `${name} = ${expression} = ${values[node]}. Slope ${towards.join(", ")}.`;
    }

    function backwardWords({ node, gradient, contributions }, step) {
      const has = number(read(gradient));
      const opening = `${names[node]} has ${has}${step === 1 ? ": it moves as much as itself" : ""}.`;
      if (!contributions.length) return `${opening} It is a leaf, and keeps it.`;
      const sums = arrived(step - 1);
      const passes = contributions.map(([parent, share], use) => {
        const before = sums[parent];
        sums[parent] = (before ?? 0) + read(share);
        const slope = number(read(forward[node].slopes[use][1])), part = number(read(share));
        const sum = before === undefined ? "" : ` (${number(before)} + ${part} = ${number(sums[parent])})`;
        return `${has} × ${slope} = ${part} to ${names[parent]}${sum}`;
      });
      return `${opening} It passes ${passes.join(", ")}.`;
    }

    function show(step) {
      const back = step - forward.length;
      const row = back > 0 ? backward[back - 1] : forward[step - 1];
      const sums = arrived(back);
      svg.classList.toggle("back", back > 0);
      boxes.forEach((box, node) => {
        const later = back <= 0 && node > row?.node;
        box.classList.toggle("later", later);
        box.classList.toggle("now", node === row?.node);
        grads[node].classList.toggle("unknown", step > 0 && (back <= 0 || sums[node] === undefined));
        grads[node].textContent = back > 0 && sums[node] !== undefined ? number(sums[node]) : complete[node];
      });
      uses.forEach((use) => {
        use.classList.toggle("later", back <= 0 && use.dataset.to > row?.node);
        use.classList.toggle("now", +use.dataset.to === row?.node);
      });
      const [pass, count, all] = back > 0 ? ["Backward", back, backward.length] : ["Forward", step, forward.length];
      place.textContent = row ? `${pass}, ${count} of ${all}` : "";
      words.textContent = !row
        ? `Follow it: ${forward.length} steps forward, ${backward.length} back.`
        : back > 0 ? backwardWords(row, back) : forwardWords(row);
      slider.value = step;
      slider.setAttribute("aria-valuetext", place.textContent || "the whole graph");
      before.setAttribute("aria-disabled", step === 0);
      next.textContent = step === 0 ? "Start" : step === last ? "Done" : "Next";
      if (row) reveal(boxes[row.node]);
    }

    /* On a phone the figure is wider than its box: bring the number that we speak of to the middle. */
    function reveal(box) {
      const frame = svg.parentElement, { left, width } = box.getBoundingClientRect();
      const middle = left + width / 2 - frame.getBoundingClientRect().left - frame.clientWidth / 2;
      frame.scrollTo({ left: frame.scrollLeft + middle, behavior: still.matches ? "auto" : "smooth" });
    }

    const place = element("strong"), words = element("span");
    const caption = element("p", { className: "stepper-words" }, place, " ", words);
    caption.setAttribute("aria-live", "polite");
    caption.setAttribute("aria-atomic", "true");
    const slider = element("input", { type: "range", min: 0, max: last, value: 0 });
    slider.setAttribute("aria-label", "Step");
    const before = element("button", { type: "button" }, "Back"), next = element("button", { type: "button" });
    before.addEventListener("click", () => show(Math.max(0, slider.value - 1)));
    next.addEventListener("click", () => show((+slider.value + 1) % (last + 1)));
    slider.addEventListener("input", () => show(+slider.value));
    const controls = element("div", { className: "stepper-controls" }, before, slider, next);
    const whole = element("div", { className: "stepper" }, caption, controls);
    whole.setAttribute("role", "group");
    whole.setAttribute("aria-label", `Steps: ${$("title", svg).textContent}`);
    show(0);
    svg.parentElement.after(whole);
    return { svg, slider, show };
  }

  let steppers = [];
  function page() {
    steppers = steppers.filter(({ svg }) => svg.isConnected);
    const known = steppers.map(({ svg }) => svg);
    $$("svg[data-trace]").filter((svg) => !known.includes(svg)).forEach((svg) => steppers.push(stepper(svg)));
  }

  /* Paper gets the whole graph. */
  let printed = [];
  addEventListener("beforeprint", () => {
    printed = steppers.map(({ slider }) => +slider.value);
    steppers.forEach(({ show }) => show(0));
  });
  addEventListener("afterprint", () => steppers.forEach(({ show }, i) => show(printed[i])));

  if (window.document$) window.document$.subscribe(page);
  else page();
})();
