"use strict";
(function () {
  const tip = document.getElementById("tip");
  function show(text, event) {
    tip.textContent = text;
    tip.hidden = !text;
    const left = Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8);
    const top = Math.min(event.clientY + 14, window.innerHeight - tip.offsetHeight - 8);
    tip.style.left = left + "px";
    tip.style.top = top + "px";
  }
  document.addEventListener("pointermove", function (event) {
    if (event.target.tagName === "CANVAS") return;
    const owner = event.target.closest && event.target.closest("[data-tip]");
    show(owner ? owner.dataset.tip : "", event);
  });

  function cloud(holder) {
    const data = JSON.parse(holder.querySelector("script[type='application/json']").textContent);
    const canvas = holder.querySelector("canvas");
    const context = canvas.getContext("2d");
    const flat = holder.dataset.dims === "2";
    let yaw = 0.6, pitch = 0.35, zoom = 1, drag = null, hidden = new Set(), drawn = [];
    function project(p, width, height) {
      const scale = Math.min(width, height) * 0.43 * zoom;
      if (flat) return [width / 2 + p[0] * scale * 1.15, height / 2 - p[1] * scale, 0];
      const cy = Math.cos(yaw), sy = Math.sin(yaw), cp = Math.cos(pitch), sp = Math.sin(pitch);
      const x = p[0] * cy + p[2] * sy, z = -p[0] * sy + p[2] * cy;
      const y = p[1] * cp - z * sp, depth = p[1] * sp + z * cp;
      const near = 2.8 / (2.8 + depth);
      return [width / 2 + x * scale * near, height / 2 - y * scale * near, depth];
    }
    function draw() {
      const ratio = window.devicePixelRatio || 1;
      const width = canvas.clientWidth, height = canvas.clientHeight;
      if (!width) return;
      canvas.width = width * ratio;
      canvas.height = height * ratio;
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      drawn = [];
      for (let i = 0; i < data.points.length; i++) {
        if (!hidden.has(data.groups[i])) drawn.push([...project(data.points[i], width, height), i]);
      }
      drawn.sort((a, b) => b[2] - a[2]);
      for (const [x, y, depth, i] of drawn) {
        context.globalAlpha = flat ? 0.75 : Math.max(0.25, 0.85 - depth * 0.35);
        context.fillStyle = data.colours[data.groups[i]];
        context.beginPath();
        context.arc(x, y, flat ? 3 : Math.max(1.5, 3.4 - depth * 1.2), 0, 6.3);
        context.fill();
      }
    }
    canvas.addEventListener("pointerdown", e => { drag = [e.clientX, e.clientY]; canvas.setPointerCapture(e.pointerId); });
    canvas.addEventListener("pointerup", () => { drag = null; });
    canvas.addEventListener("pointermove", e => {
      if (drag && !flat) {
        yaw += (e.clientX - drag[0]) * 0.01;
        pitch = Math.max(-1.5, Math.min(1.5, pitch + (e.clientY - drag[1]) * 0.01));
        drag = [e.clientX, e.clientY];
        draw();
        return;
      }
      const box = canvas.getBoundingClientRect();
      let best = null, distance = 64;
      for (const [x, y, , i] of drawn) {
        const d = (x - e.clientX + box.left) ** 2 + (y - e.clientY + box.top) ** 2;
        if (d < distance) { distance = d; best = i; }
      }
      show(best === null ? "" : data.names[data.groups[best]] + (data.tips[best] ? "\n" + data.tips[best] : ""), e);
    });
    canvas.addEventListener("pointerleave", e => show("", e));
    if (!flat) canvas.addEventListener("wheel", e => { e.preventDefault(); zoom = Math.max(0.4, Math.min(5, zoom * Math.exp(-e.deltaY * 0.001))); draw(); }, { passive: false });
    holder.querySelectorAll(".legend span").forEach((item, index) => {
      item.style.cursor = "pointer";
      item.addEventListener("click", () => {
        hidden.has(index) ? hidden.delete(index) : hidden.add(index);
        item.style.opacity = hidden.has(index) ? 0.35 : 1;
        draw();
      });
    });
    window.addEventListener("resize", draw);
    draw();
  }
  document.querySelectorAll(".cloud").forEach(cloud);
})();
