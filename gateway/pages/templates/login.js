(function () {
  // What was behind the number sign of the address goes along, within the browser.
  var hash = location.hash;
  if (hash === "") { return; }
  document.querySelectorAll("main a[href*='/login?']").forEach(function (a) { a.setAttribute("href", a.getAttribute("href") + hash); });
  document.querySelectorAll("main form").forEach(function (f) { f.setAttribute("action", f.getAttribute("action") + hash); });
})();
