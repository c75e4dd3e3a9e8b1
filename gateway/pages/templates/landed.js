(function () {
  var link = document.getElementById("onward"), to = link.href, key = "sallyport:" + link.getAttribute("data-back"), hash = "";
  try {
    hash = sessionStorage.getItem(key) || "";
    sessionStorage.removeItem(key);
  } catch (e) {}
  // What begins with a number sign can change the fragment and nothing before it.
  location.replace(hash.charAt(0) === "#" && to.indexOf("#") === -1 ? to + hash : to);
})();
