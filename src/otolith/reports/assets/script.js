"use strict";
(function () {
  const tip = document.getElementById("tip");

  function show(text, x, y) {
    tip.textContent = text;
    tip.hidden = !text;
    if (!text) return;
    tip.style.left = Math.max(8, Math.min(x + 14, window.innerWidth - tip.offsetWidth - 8)) + "px";
    const below = y + 16 + tip.offsetHeight < window.innerHeight;
    tip.style.top = (below ? y + 16 : Math.max(8, y - tip.offsetHeight - 12)) + "px";
  }
  document.addEventListener("pointermove", event => {
    if (event.target.tagName === "CANVAS") return;
    const owner = event.target.closest && event.target.closest("[data-tip]");
    show(owner ? owner.dataset.tip : "", event.clientX, event.clientY);
  });
  document.addEventListener("scroll", () => show("", 0, 0), { passive: true, capture: true });
  window.addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach(part => { part.open = true; });
  });

  const CUBE = [];
  for (let axis = 0; axis < 3; axis++) {
    for (const a of [-1, 1]) for (const b of [-1, 1]) {
      const from = [a, b], to = [a, b];
      from.splice(axis, 0, -1);
      to.splice(axis, 0, 1);
      CUBE.push([from, to]);
    }
  }

  function cloud(holder) {
    const data = JSON.parse(holder.querySelector("script").textContent);
    const canvas = holder.querySelector("canvas");
    const context = canvas.getContext("2d");
    const flat = holder.dataset.dims === "2";
    const start = { yaw: 0.6, pitch: 0.3, zoom: 1 };
    let view = { ...start }, grouping = data.groupings[0], drag = null, drawn = [];
    const hidden = new Set();
    const half = [0, 1, 2].map(axis => Math.max(0.05, ...data.points.map(p => Math.abs(p[axis] || 0))));
    const radius = Math.hypot(...half);

    function project(p, width, height) {
      const scale = flat ? height * 0.45 : Math.min(width, height * 1.25) * 0.4 / radius * view.zoom;
      if (flat) {
        return [width / 2 + p[0] * Math.min(width * 0.44, scale * 2), height / 2 - p[1] * scale, 0];
      }
      const cy = Math.cos(view.yaw), sy = Math.sin(view.yaw);
      const cp = Math.cos(view.pitch), sp = Math.sin(view.pitch);
      const x = p[0] * cy + p[2] * sy, z = -p[0] * sy + p[2] * cy;
      const y = p[1] * cp - z * sp, depth = p[1] * sp + z * cp;
      const near = 5 * radius / (5 * radius + depth);
      return [width / 2 + x * scale * near, height / 2 - y * scale * near, depth / radius];
    }
    function frame(width, height) {
      context.globalAlpha = 0.3;
      context.strokeStyle = getComputedStyle(holder).color;
      context.lineWidth = 0.7;
      context.beginPath();
      for (const [from, to] of CUBE) {
        const a = project(from.map((v, i) => v * half[i]), width, height);
        const b = project(to.map((v, i) => v * half[i]), width, height);
        context.moveTo(a[0], a[1]);
        context.lineTo(b[0], b[1]);
      }
      context.stroke();
    }
    function draw() {
      const ratio = window.devicePixelRatio || 1;
      const width = canvas.clientWidth, height = canvas.clientHeight;
      if (!width) return;
      canvas.width = width * ratio;
      canvas.height = height * ratio;
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      if (!flat) frame(width, height);
      drawn = [];
      for (let i = 0; i < data.points.length; i++) {
        if (!hidden.has(grouping.of[i])) drawn.push([...project(data.points[i], width, height), i]);
      }
      drawn.sort((a, b) => b[2] - a[2]);
      for (const [x, y, depth, i] of drawn) {
        context.globalAlpha = flat ? 0.8 : Math.max(0.3, Math.min(1, 0.75 - depth * 0.3));
        context.fillStyle = grouping.colours[grouping.of[i]];
        context.beginPath();
        context.arc(x, y, flat ? 3.2 : Math.max(1.6, 3.2 - depth), 0, 6.3);
        context.fill();
      }
    }
    function turn(yaw, pitch, zoom) {
      view.yaw += yaw;
      view.pitch = Math.max(-1.55, Math.min(1.55, view.pitch + pitch));
      view.zoom = Math.max(0.4, Math.min(6, view.zoom * zoom));
      draw();
    }
    function words(i) {
      return data.groupings.map(g => g.title + ": " + g.names[g.of[i]]).join("\n");
    }
    function point(event) {
      const box = canvas.getBoundingClientRect();
      let best = null, distance = 81;
      for (const [x, y, , i] of drawn) {
        const d = (x - event.clientX + box.left) ** 2 + (y - event.clientY + box.top) ** 2;
        if (d <= distance) { distance = d; best = i; }
      }
      show(best === null ? "" : words(best), event.clientX, event.clientY);
    }
    function button(parent, pressed, onPress) {
      const made = document.createElement("button");
      made.type = "button";
      if (pressed !== null) made.setAttribute("aria-pressed", pressed);
      made.addEventListener("click", () => onPress(made));
      parent.append(made);
      return made;
    }
    function legend() {
      const list = holder.querySelector(".legend");
      list.replaceChildren();
      grouping.names.forEach((name, index) => {
        const item = button(list, "true", made => {
          hidden.has(index) ? hidden.delete(index) : hidden.add(index);
          made.setAttribute("aria-pressed", !hidden.has(index));
          draw();
        });
        const square = document.createElement("i");
        square.style.background = grouping.colours[index];
        item.append(square, name);
      });
    }
    function choose(chosen) {
      grouping = chosen;
      hidden.clear();
      holder.querySelectorAll(".choices button[aria-pressed]").forEach((made, index) => {
        made.setAttribute("aria-pressed", data.groupings[index] === chosen);
      });
      legend();
      draw();
    }
    const choices = holder.querySelector(".choices");
    if (data.groupings.length > 1) {
      for (const entry of data.groupings) button(choices, "false", () => choose(entry)).append("by " + entry.title);
    }
    if (!flat) {
      button(choices, null, () => { view = { ...start }; draw(); }).append("reset view");
      canvas.addEventListener("pointerdown", e => { drag = [e.clientX, e.clientY]; canvas.setPointerCapture(e.pointerId); });
      for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { drag = null; });
      canvas.addEventListener("wheel", e => {
        if (document.activeElement !== canvas) return; // the page scrolls until the map is clicked
        e.preventDefault();
        turn(0, 0, Math.exp(-e.deltaY * 0.001));
      }, { passive: false });
      const keys = { ArrowLeft: [-0.12, 0, 1], ArrowRight: [0.12, 0, 1], ArrowUp: [0, -0.12, 1], ArrowDown: [0, 0.12, 1], "+": [0, 0, 1.15], "=": [0, 0, 1.15], "-": [0, 0, 0.87] };
      canvas.addEventListener("keydown", e => {
        if (!keys[e.key]) return;
        e.preventDefault();
        turn(...keys[e.key]);
      });
    }
    canvas.addEventListener("pointermove", e => {
      if (!drag) return point(e);
      const [x, y] = drag;
      drag = [e.clientX, e.clientY];
      turn((e.clientX - x) * 0.01, (e.clientY - y) * 0.01, 1);
      show("", 0, 0);
    });
    canvas.addEventListener("pointerleave", () => show("", 0, 0));
    new ResizeObserver(draw).observe(canvas);
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    choose(data.groupings[0]);
  }
  document.querySelectorAll(".cloud").forEach(cloud);
})();
