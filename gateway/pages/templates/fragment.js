(function () {
  // The fragment of the address stays in this tab: no server ever sees it.
  var link = document.getElementById("onward"), to = link.href, hash = location.hash;
  try {
    if (hash.length > 1) {
      sessionStorage.setItem("sallyport:" + link.getAttribute("data-back"), hash);
      to = to.replace(/([?&]state=[^&#]*)/, "$1.h");
    }
  } catch (e) {} // a browser without storage signs in without it
  location.replace(to);
})();
