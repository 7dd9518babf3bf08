/* What the pages need beyond HTML and CSS. Everything works without it, less comfortably. */
(() => {
  const root = document.documentElement;
  const $ = (selector, from = document) => from.querySelector(selector);
  const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];

  /* ---- once: the header stays when the page is changed in place ---- */

  function scheme() {
    const button = $(".scheme");
    const system = matchMedia("(prefers-color-scheme: dark)");
    const dark = () => (root.dataset.scheme ? root.dataset.scheme === "dark" : system.matches);
    const show = () => button.setAttribute("aria-pressed", dark());
    button.hidden = false;
    button.addEventListener("click", () => {
      const wanted = dark() ? "light" : "dark";
      const same = (wanted === "dark") === system.matches;
      // Back at the system's choice, the page follows the system again.
      if (same) delete root.dataset.scheme;
      else root.dataset.scheme = wanted;
      try {
        if (same) localStorage.removeItem("scheme");
        else localStorage.setItem("scheme", wanted);
      } catch { /* storage is off: the choice lasts as long as the page */ }
      show();
    });
    system.addEventListener("change", show);
    show();
  }

  function drawer() {
    const link = $(".to-contents");
    const toggle = $("#__drawer");
    const set = (open) => {
      toggle.checked = open;
      toggle.dispatchEvent(new Event("change"));
    };
    link.setAttribute("role", "button");
    link.setAttribute("aria-expanded", "false");
    toggle.addEventListener("change", () => {
      link.setAttribute("aria-expanded", toggle.checked);
      if (toggle.checked) ($("#contents [aria-current]") ?? $("#contents a")).focus();
    });
    link.addEventListener("click", (event) => {
      event.preventDefault();
      event.stopPropagation(); // instant navigation would follow the link
      set(!toggle.checked);
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === " " && event.target === link) {
        event.preventDefault();
        set(!toggle.checked);
      }
      if (event.key === "Escape" && toggle.checked) {
        set(false);
        link.focus();
      }
    });
  }

  function search() {
    $(".to-search")?.addEventListener("click", () => {
      const toggle = $("#__search");
      toggle.checked = true;
      toggle.dispatchEvent(new Event("change"));
      $(".md-search__input")?.focus();
    });
  }

  /* ---- for every page ---- */

  function copyButton(words, label, codes) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = words;
    button.setAttribute("aria-label", label);
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(codes.map((code) => code.textContent).join("\n\n"));
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = words), 1500);
    });
    return button;
  }

  function copyButtons() {
    if (!navigator.clipboard || $("main article .copy")) return;
    $$("main article .highlight pre").forEach((pre, index) => {
      pre.after(copyButton("Copy", `Copy code ${index + 1}`, [$("code", pre)]));
    });
    $$("main article .exercise-head").forEach((head, index) => {
      const words = "Copy starter and check";
      const codes = [".starter code", ".check code"].map((part) => $(part, head.parentElement));
      head.append(copyButton(words, `${words} ${index + 1}`, codes));
    });
  }

  /* What scrolls sideways must be reachable by keyboard; what does not should not be a stop. */
  function scrollers() {
    $$("main article :is(pre, .result, .md-typeset__scrollwrap, math[display=block])").forEach((box) => {
      const scrolls = box.scrollWidth > box.clientWidth + 1 && getComputedStyle(box).overflowX !== "visible";
      if (scrolls) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    });
  }

  /* A graph may shrink until its text, of 13 pixels, has 12; then its box scrolls. */
  function figures() {
    $$("main article .result:not(.plot) > svg[width]").forEach((svg) => {
      const width = parseFloat(svg.getAttribute("width"));
      if (width) Object.assign(svg.style, { minWidth: `${(12 / 13) * width}px`, maxWidth: "100%" });
    });
  }

  /* Of a long docstring in the engine's source, the first line; the rest is one press away, and in what is copied. */
  function docstrings() {
    $$("main article .source code:not(:has(.docstring))").forEach((code) => {
      const lines = $$(".sd", code);
      for (let first = 0, last; first < lines.length; first = last + 1) {
        for (last = first; lines[last + 1] && !/[^"]"""$/.test(` ${lines[last].textContent}`); ) last += 1;
        if (last - first < 3) continue;
        const rest = document.createElement("span"), more = document.createElement("button");
        rest.className = "docstring";
        rest.hidden = true;
        while (lines[first].nextSibling.nextSibling !== lines[last]) rest.append(lines[first].nextSibling);
        more.type = "button";
        more.className = "docstring-more";
        more.setAttribute("aria-label", "The whole docstring");
        more.setAttribute("aria-expanded", "false");
        more.addEventListener("click", () => {
          rest.hidden = !rest.hidden;
          more.setAttribute("aria-expanded", !rest.hidden);
          scrollers();
        });
        lines[first].after(rest);
        lines[last].after(more); // there it is in sight, however long the first line
      }
    });
  }

  function checkboxes() {
    $$(".task-list-item input").forEach((input) => {
      const text = input.closest("li").textContent.trim().split("\n")[0];
      input.setAttribute("aria-label", text);
    });
  }

  function currentChapter() {
    const box = $(".sidebar");
    const link = $("[aria-current]", box);
    if (link) box.scrollTop = link.offsetTop - box.clientHeight / 3;
  }

  function page() {
    copyButtons();
    checkboxes();
    figures();
    docstrings();
    scrollers();
    currentChapter();
  }

  /* Folded things are printed open. */
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = $$("main article details:not([open])");
    opened.forEach((details) => (details.open = true));
  });
  addEventListener("afterprint", () => opened.forEach((details) => (details.open = false)));

  let waiting;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(scrollers, 150);
  });
  document.addEventListener("toggle", scrollers, true); // a fold opened: its code has a width now

  scheme();
  drawer();
  search();
  if (window.document$) window.document$.subscribe(page);
  else page();
})();
