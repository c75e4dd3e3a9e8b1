(() => {
  const live = document.getElementById("live"), pause = document.getElementById("pause");
  let on = true;
  pause.hidden = false;
  pause.addEventListener("click", () => {
    on = !on;
    pause.textContent = on ? "Pause" : "Go on";
  });
  const at = new URL(location.href);
  at.searchParams.set("part", "live");
  const turn = async () => {
    // Nothing moves below somebody's keyboard, nor where nobody looks.
    if (on && !document.hidden && !live.contains(document.activeElement)) {
      try {
        const answer = await fetch(at, { headers: { Accept: "text/html" } });
        if (answer.status === 401 || answer.status === 205) { location.reload(); return; }
        live.classList.toggle("stale", !answer.ok);
        if (answer.ok) live.innerHTML = await answer.text();
      } catch {
        live.classList.add("stale");
      }
    }
    setTimeout(turn, 2000);
  };
  setTimeout(turn, 2000);
})();
