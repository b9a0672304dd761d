"use strict";
(() => {
  // The page is complete without this: it only lets the loss curve be zoomed, moved and read off.
  const chart = document.getElementById("chart");
  const plot = chart.querySelector(".plot");
  const readout = document.querySelector(".readout");
  const { first, last, logarithmic, series } = JSON.parse(document.getElementById("points").textContent);
  const curves = new Map([...plot.querySelectorAll("path.curve")].map((path) => [path.dataset.series, path]));
  const marks = [...plot.querySelectorAll("[data-epoch]")];
  const axes = plot.querySelector(".axes");
  const atRest = readout.textContent;
  const shortest = Math.min(last - first, Math.max(4, (last - first) / 500));
  let from = first, to = last;

  const svg = (name, attributes, words) => {
    const made = document.createElementNS(plot.namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (words !== undefined) made.textContent = words;
    return made;
  };
  const percent = (share) => `${(100 * share).toFixed(3)}%`;
  const height = (loss) => (logarithmic ? Math.log(loss) : loss);
  const position = (epochs, epoch) => {
    let low = 0, high = epochs.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (epochs[middle] < epoch) low = middle + 1; else high = middle;
    }
    return low;
  };
  const visible = ({ epochs, losses }) => {
    const start = Math.max(0, position(epochs, from) - 1), end = position(epochs, to) + 1;
    return { epochs: epochs.slice(start, end), losses: losses.slice(start, end) };
  };
  const ticks = (low, high, most) => {
    const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough * 0.999);
    const found = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high * (1 + 1e-12) && found.length < 20; k++) found.push(k * step);
    return found;
  };
  const digits = (value) => Number(value.toPrecision(4)).toLocaleString("en", { maximumSignificantDigits: 4 });

  function drawAxes(low, high) {
    axes.replaceChildren();
    for (const tick of ticks(from, to, 6).filter(Number.isInteger)) {
      const x = percent((tick - from) / (to - from));
      axes.append(svg("line", { x1: x, x2: x, y1: "0", y2: "100%", class: "grid" }));
      axes.append(svg("text", { x, y: "100%", dy: "1.5em", "text-anchor": "middle", class: "tick" }, tick.toLocaleString("en")));
    }
    const losses = logarithmic && high - low > Math.log(20)
      ? [...Array(40).keys()].flatMap((k) => [1, 2, 5].map((factor) => factor * 10 ** (Math.floor(low / Math.LN10) + k)))
          .filter((tick) => Math.log(tick) >= low && Math.log(tick) <= high)
      : ticks(logarithmic ? Math.exp(low) : low, logarithmic ? Math.exp(high) : high, 5);
    const every = Math.ceil(losses.length / 7);
    for (const tick of losses.filter((_, k) => k % every === 0)) {
      const y = percent(1 - (height(tick) - low) / (high - low));
      axes.append(svg("line", { x1: "0", x2: "100%", y1: y, y2: y, class: "grid" }));
      axes.append(svg("text", { x: "0", y, dx: "-0.6em", dy: "0.32em", "text-anchor": "end", class: "tick" }, digits(tick)));
    }
  }

  function drawMarks(low, high) {
    for (const mark of marks) {
      const epoch = Number(mark.dataset.epoch), x = percent((epoch - from) / (to - from));
      const inside = epoch >= from && epoch <= to;
      if (mark.dataset.loss === undefined) {
        mark.setAttribute("x1", x);
        mark.setAttribute("x2", x);
        mark.setAttribute("visibility", inside ? "visible" : "hidden");
        continue;
      }
      const up = (height(Number(mark.dataset.loss)) - low) / (high - low);
      mark.setAttribute("cx", x);
      mark.setAttribute("cy", percent(1 - up));
      mark.setAttribute("visibility", inside && up >= 0 && up <= 1 ? "visible" : "hidden");
    }
  }

  function draw() {
    cursor.setAttribute("visibility", "hidden");
    const shown = series.map((one) => ({ name: one.name, ...visible(one) }));
    const heights = shown.flatMap(({ epochs, losses }) => losses.filter((_, k) => epochs[k] >= from && epochs[k] <= to)).map(height);
    if (!heights.length) heights.push(...shown.flatMap(({ losses }) => losses.map(height)));
    let low = Infinity, high = -Infinity;
    for (const one of heights) { low = Math.min(low, one); high = Math.max(high, one); }
    const room = 0.04 * (high - low) || 0.5 * Math.abs(high) || 1;
    low -= room;
    high += room;
    for (const { name, epochs, losses } of shown) {
      const points = epochs.map((epoch, k) => {
        const x = (1000 * (epoch - from)) / (to - from), y = 1000 * (1 - (height(losses[k]) - low) / (high - low));
        return `${x.toFixed(1)} ${y.toFixed(1)}`;
      });
      curves.get(name).setAttribute("d", points.length ? `M${points.join("L")}` : "");
    }
    drawAxes(low, high);
    drawMarks(low, high);
    chart.dataset.from = Math.round(from);
    chart.dataset.to = Math.round(to);
  }

  function show(newFrom, newTo) {
    const length = Math.min(last - first, Math.max(shortest, newTo - newFrom));
    from = Math.min(Math.max(first, newFrom), last - length);
    to = from + length;
    draw();
  }
  const zoom = (factor, at) => show(at - (at - from) * factor, at + (to - at) * factor);
  const move = (share) => show(from + share * (to - from), to + share * (to - from));
  const epochAt = (event) => {
    const box = plot.getBoundingClientRect();
    return from + Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * (to - from);
  };
  const actions = {
    in: () => zoom(0.5, (from + to) / 2),
    out: () => zoom(2, (from + to) / 2),
    all: () => show(first, last),
    left: () => move(-0.2),
    right: () => move(0.2),
  };
  const keys = { "+": "in", "=": "in", ArrowUp: "in", "-": "out", ArrowDown: "out", 0: "all", Home: "all", ArrowLeft: "left", ArrowRight: "right" };

  function read(epoch) {
    const words = [];
    let nearest = null;
    for (const { name, epochs, losses } of series) {
      if (!epochs.length) continue;
      const after = Math.min(position(epochs, epoch), epochs.length - 1);
      const at = after > 0 && epoch - epochs[after - 1] < epochs[after] - epoch ? after - 1 : after;
      if (nearest === null) nearest = epochs[at];
      words.push(`${readout.dataset[name]} ${losses[at].toLocaleString("en", { maximumSignificantDigits: 5 })}`);
    }
    readout.textContent = `${readout.dataset.epoch} ${nearest.toLocaleString("en")}   ${words.join("   ")}`;
    const x = percent((nearest - from) / (to - from));
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    cursor.setAttribute("visibility", nearest >= from && nearest <= to ? "visible" : "hidden");
  }

  if (!series.some((one) => one.epochs.length > 1)) return;
  const cursor = svg("line", { y1: "0", y2: "100%", class: "cursor", visibility: "hidden" });
  plot.append(cursor);
  chart.classList.add("zoomable");
  chart.tabIndex = 0;
  chart.setAttribute("role", "group");
  chart.setAttribute("aria-label", chart.dataset.label);
  document.querySelector(".controls").hidden = false;
  for (const button of document.querySelectorAll("[data-do]")) button.addEventListener("click", () => actions[button.dataset.do]());
  chart.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
    event.preventDefault();
    actions[keys[event.key]]();
  });
  chart.addEventListener("wheel", (event) => {
    // Scrolling past the chart must stay scrolling: the wheel zooms once the chart was chosen, or with Ctrl.
    if (!event.ctrlKey && document.activeElement !== chart) return;
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.25 : 0.8, epochAt(event));
  }, { passive: false });
  let grabbed = null;
  plot.addEventListener("pointerdown", (event) => {
    grabbed = epochAt(event);
    plot.setPointerCapture(event.pointerId);
  });
  plot.addEventListener("pointermove", (event) => {
    if (grabbed === null) return read(epochAt(event));
    const by = grabbed - epochAt(event);
    show(from + by, to + by);
  });
  const release = () => { grabbed = null; };
  plot.addEventListener("pointerup", release);
  plot.addEventListener("pointercancel", release);
  plot.addEventListener("pointerleave", () => {
    cursor.setAttribute("visibility", "hidden");
    readout.textContent = atRest;
  });
})();
