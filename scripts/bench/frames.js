/**
 * Watches the page's frames for some seconds; `scroll` px up, then down again, in each frame of them.
 *
 * A frame's time is what lies between two callbacks of requestAnimationFrame. A long task held the page's thread for more
 * than 50 ms (W3C Long Tasks).
 */
async ({ seconds, scroll }) => {
  const times = [];
  const long = [];
  const observer = new PerformanceObserver((list) => long.push(...list.getEntries().map((entry) => entry.duration)));
  observer.observe({ entryTypes: ["longtask"] });
  const scroller = document.getElementById("scroller");
  let direction = -1;
  await new Promise((done) => {
    const until = performance.now() + seconds * 1000;
    const step = (now) => {
      times.push(now);
      if (scroll) {
        if (scroller.scrollTop <= scroll) direction = 1;
        else if (times.length % 300 === 0) direction = -direction;
        scroller.scrollTop += direction * scroll;
      }
      if (now < until) requestAnimationFrame(step);
      else done();
    };
    requestAnimationFrame(step);
  });
  observer.disconnect();
  const rows = document.querySelectorAll("#comments > li");
  return {
    frames: times.slice(1).map((time, index) => time - times[index]),
    long,
    rows: rows.length,
    inMemory: Number(rows[0]?.getAttribute("aria-setsize") ?? 0),
  };
}
