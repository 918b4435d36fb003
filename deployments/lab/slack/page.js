(() => {
  const app = document.getElementById("app");
  let version = app.dataset.version;
  const log = () => document.getElementById("log");
  const localTimes = () => {
    for (const time of app.querySelectorAll("time")) {
      const at = new Date(time.dateTime);
      time.textContent = at.toLocaleTimeString([], { hour: "numeric", minute: "2-digit" });
      time.title = at.toLocaleString();
    }
  };
  const refresh = async () => {
    try {
      const now = await (await fetch("/version")).text();
      document.body.classList.remove("offline");
      if (now === version) return;
      const address = new URL(location.href);
      address.searchParams.set("fragment", "1");
      const html = await (await fetch(address)).text();
      const open = [...app.querySelectorAll("details[open]")].map((one) => one.id);
      const at = log().scrollTop, atEnd = at + log().clientHeight > log().scrollHeight - 40;
      app.innerHTML = html;
      for (const id of open) document.getElementById(id)?.setAttribute("open", "");
      localTimes();
      log().scrollTop = atEnd ? log().scrollHeight : at;
      version = now;
    } catch {
      document.body.classList.add("offline");
    }
  };
  localTimes();
  const wanted = location.hash && document.getElementById(location.hash.slice(1));
  if (wanted) wanted.scrollIntoView({ block: "center" });
  else log().scrollTop = log().scrollHeight;
  setInterval(refresh, 2000);
})();
