// Extras only: every page works without this file.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // A cell of CSV. What a spreadsheet would take for a formula gets an apostrophe: people choose names.
  const cell = (text) => `"${(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;

  // The text of an element; a list gives one line per item, a table body its [data-csv] as CSV, data-compact drops the
  // spaces.
  const textOf = (selector) => {
    const source = document.querySelector(selector);
    if (!source) return '';
    if (source.matches('ol, ul')) return [...source.children].map((item) => item.textContent.trim()).join('\n');
    if (source.matches('tbody')) {
      const lines = [...source.rows].map((row) => all('[data-csv]', row).map((part) => cell(part.textContent.trim())));
      return lines.filter((line) => line.length).map((line) => line.join(',')).join('\n');
    }
    const text = source.textContent.trim();
    return 'compact' in source.dataset ? text.replace(/\s+/g, '') : text;
  };

  // What the page says aloud; its words stand in data attributes, in the page's language.
  const live = document.getElementById('live');
  const announce = (text) => live?.replaceChildren(text ?? '');

  // <button data-copy="text">, <button data-copy>text</button> or <button data-copy-from="#id">
  for (const button of all('[data-copy], [data-copy-from]')) {
    button.addEventListener('click', async () => {
      try {
        const { copy, copyFrom } = button.dataset;
        await navigator.clipboard.writeText(copyFrom ? textOf(copyFrom) : copy || button.textContent.trim());
      } catch {
        announce(live?.dataset.notCopied);
        return;
      }
      button.dataset.copied = '';
      announce(live?.dataset.copied);
      setTimeout(() => delete button.dataset.copied, 1600);
    });
  }

  // The small rows of the key list leave their tooltips to this.
  const word = (id) => document.getElementById(id)?.textContent ?? '';
  for (const button of all('.ph-keys [data-copy]')) button.title = word('c');
  for (const link of all('.ph-keys td:last-child a')) link.title = word(link.getAttribute('aria-labelledby').split(' ')[0]);

  // <button data-use-zone="#select">: the time zone that this browser lives in.
  for (const button of all('[data-use-zone]')) {
    button.addEventListener('click', () => {
      const select = document.querySelector(button.dataset.useZone);
      const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
      const option = [...select.options].find(({ value }) => (value || 'UTC') === timeZone);
      if (option) option.selected = true;
      announce(option ? button.dataset.done : button.dataset.failed);
    });
  }

  // <button data-download="name" data-download-from="#id" data-download-prefix="KEY=">
  // A Blob, as a data: URL would keep the secret in the browser's download history.
  for (const button of all('[data-download]')) {
    button.addEventListener('click', () => {
      const text = `${button.dataset.downloadPrefix ?? ''}${textOf(button.dataset.downloadFrom)}\n`;
      const link = document.createElement('a');
      link.href = URL.createObjectURL(new Blob([text], { type: button.dataset.downloadType ?? 'text/plain' }));
      link.download = button.dataset.download;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
  }

  // Secrets do not survive in the back-forward cache: <code data-wipe>.
  if (document.querySelector('[data-wipe]')) {
    addEventListener('pagehide', () => {
      for (const element of all('[data-wipe]')) element.replaceChildren();
    });
    addEventListener('pageshow', (event) => {
      if (event.persisted) location.reload();
    });
  }

  // <input type="checkbox" data-enables="#done" data-guard>: enables a button; until ticked, leaving asks first.
  for (const box of all('input[data-enables], input[data-guard]')) {
    const target = box.dataset.enables && document.querySelector(box.dataset.enables);
    const guard = (event) => event.preventDefault();
    const sync = () => {
      if (target) target.disabled = !box.checked;
      if (!('guard' in box.dataset)) return;
      if (box.checked) removeEventListener('beforeunload', guard);
      else addEventListener('beforeunload', guard);
    };
    box.addEventListener('change', sync);
    sync();
  }

  // A group of entities: data-scope-all is the rule box, data-scope-list its boxes, data-scope-count "3 of 8 selected".
  const syncScope = (group) => {
    const rule = group.querySelector('[data-scope-all]');
    const boxes = all('[data-scope-list] input[type="checkbox"]', group);
    const count = group.querySelector('[data-scope-count]');
    const chosen = boxes.filter((box) => box.checked).length;
    // A rule that gives every action leaves nothing to pick.
    const plain = Boolean(rule?.checked) && all('[data-all-action]', group).every((box) => box.checked);
    for (const box of boxes) box.disabled = plain;
    if (count) count.textContent = plain || !chosen ? count.dataset.total : count.dataset.template.replace('COUNT', chosen);
  };
  for (const group of all('[data-scope-group]')) syncScope(group);
  document.addEventListener('change', ({ target }) => {
    const group = target.closest('[data-scope-group]');
    if (group) syncScope(group);
  });

  // A click counts only where it ends on what it began on: nothing moves while a button or finger is down.
  let pressed = false;
  addEventListener('pointerdown', () => { pressed = true; }, { capture: true });
  for (const type of ['pointerup', 'pointercancel']) {
    addEventListener(type, () => setTimeout(() => { pressed = false; }), { capture: true });
  }
  const released = async () => {
    while (pressed) await new Promise((resolve) => setTimeout(resolve, 30));
  };

  // <form data-live-preview>: what the form shows of its own values ([data-live]) follows them. The server renders,
  // as it does for the "preview" buttons without this file; the code is never sent along.
  for (const form of all('form[data-live-preview]')) {
    let timer;
    let running;
    const refresh = async (target) => {
      running?.abort();
      running = new AbortController();
      const { signal } = running;
      if (target.name === 'environment') for (const query of all('[data-find]', form)) query.value = '';
      const data = new FormData(form);
      data.delete('code');
      data.set('preview', '1');
      let page;
      try {
        const answer = await fetch(form.action, { method: 'POST', body: data, signal });
        if (!answer.ok || answer.redirected) return;
        page = new DOMParser().parseFromString(await answer.text(), 'text/html');
        await released();
        if (signal.aborted) return;
      } catch {
        return; // superseded, or offline: the buttons still work
      }
      const swap = (id) => document.getElementById(id)?.replaceChildren(...(page.getElementById(id)?.childNodes ?? []));
      if (target.name === 'environment') swap('pickers');
      if ('find' in target.dataset) swap(target.closest('[data-scope-group]').querySelector('ul').id);
      for (const element of all('[data-live]')) swap(element.id);
      for (const group of all('[data-scope-group]', form)) syncScope(group);
    };
    form.addEventListener('input', ({ target }) => {
      if (!target.name || target.name === 'code') return;
      clearTimeout(timer);
      timer = setTimeout(refresh, 250, target);
    });
    form.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && 'find' in event.target.dataset) event.preventDefault();
    });
  }

  // A scroll area is a tab stop only while it scrolls.
  const scrollers = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth || target.scrollHeight > target.clientHeight) target.tabIndex = 0;
      else target.removeAttribute('tabindex');
    }
  });
  for (const area of all('.ph-scroll')) scrollers.observe(area);

  // Filters apply themselves: <select data-submits>.
  for (const control of all('select[data-submits]')) {
    control.addEventListener('change', () => control.form.requestSubmit());
  }

  document.querySelector('[data-focus]')?.focus();
})();
