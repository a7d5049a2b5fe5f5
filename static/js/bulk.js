// An extra: counts the rows of a bulk operation while the server writes them.
(() => {
  const count = () => {
    const bar = document.querySelector('.ph-progress');
    if (!bar) return;
    bar.hidden = false;
    bar.value = document.querySelectorAll('#rows tr').length;
  };
  const timer = setInterval(count, 200);
  addEventListener('load', () => {
    clearInterval(timer);
    count();
  });
})();
