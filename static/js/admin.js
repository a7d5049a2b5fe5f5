// Extras of the staff admin: names for the search fields that select2 makes, which it leaves without any.
(() => {
  const $ = window.django?.jQuery;
  if (!$) return;
  const name = (select) => select?.getAttribute('aria-label') || select?.labels?.[0]?.textContent.replace(/:?\s*$/, '').trim();
  const label = (field, select) => field?.setAttribute('aria-label', `Search: ${name(select) || 'choices'}`);

  // A field of many choices holds its search field; one of a single choice gets it when it opens.
  $(() => {
    for (const select of document.querySelectorAll('select.admin-autocomplete')) {
      const drawn = select.nextElementSibling;
      label(drawn?.querySelector('.select2-search__field'), select);
      // Empty, it is called by what stands in it: nothing.
      drawn?.querySelector('.select2-selection--single .select2-selection__rendered')?.setAttribute('aria-label', name(select));
    }
  });
  $(document).on('select2:open', ({ target }) => label(document.querySelector('.select2-dropdown .select2-search__field'), target));
})();
