// Passkeys: proves one in place of a code, and makes new ones. Pages without it take codes.
(() => {
  const bytes = (text) =>
    Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replaceAll('+', '-')
      .replaceAll('/', '_')
      .replaceAll('=', '');

  // Browsers older than 2025 lack parse…OptionsFromJSON() and toJSON().
  const withBytes = (list) => list?.map((item) => ({ ...item, id: bytes(item.id) }));
  const requestOptions = (json) =>
    PublicKeyCredential.parseRequestOptionsFromJSON?.(json) ?? {
      ...json,
      challenge: bytes(json.challenge),
      allowCredentials: withBytes(json.allowCredentials),
    };
  const creationOptions = (json) =>
    PublicKeyCredential.parseCreationOptionsFromJSON?.(json) ?? {
      ...json,
      challenge: bytes(json.challenge),
      user: { ...json.user, id: bytes(json.user.id) },
      excludeCredentials: withBytes(json.excludeCredentials),
    };
  const toJson = (credential) => {
    if (credential.toJSON) return credential.toJSON();
    const response = {};
    for (const name of ['clientDataJSON', 'attestationObject', 'authenticatorData', 'signature', 'userHandle']) {
      if (credential.response[name]) response[name] = text(credential.response[name]);
    }
    if (credential.response.getTransports) response.transports = credential.response.getTransports();
    return {
      id: credential.id,
      rawId: text(credential.rawId),
      type: credential.type,
      response,
      clientExtensionResults: credential.getClientExtensionResults(),
    };
  };

  // The server's refusals are sentences for people; anything else is not.
  class Refused extends Error {}
  const post = async (url, form, fields) => {
    const body = new URLSearchParams({ csrfmiddlewaretoken: form.elements.csrfmiddlewaretoken.value, ...fields });
    const answer = await fetch(url, { method: 'POST', body, headers: { Accept: 'application/json' } });
    const data = await answer.json();
    if (!answer.ok) throw new Refused(data.detail);
    return data;
  };

  const usable = ({ domain }) =>
    window.PublicKeyCredential &&
    window.isSecureContext &&
    (location.hostname === domain || location.hostname.endsWith(`.${domain}`));

  const hidden = (name, value) =>
    Object.assign(document.createElement('input'), { type: 'hidden', name, value });

  // A ceremony of `box`: its button starts it, its error line says what went wrong.
  const ceremony = (box, run) => {
    const button = box.querySelector('[data-passkey-start]');
    const error = box.querySelector('[data-passkey-error]');
    if (!usable(box.dataset)) {
      button.disabled = true;
      box.classList.add('is-unusable');
      return;
    }
    button.addEventListener('click', async () => {
      if (button.disabled) return;
      button.disabled = true;
      error.hidden = true;
      try {
        await run(button.form);
      } catch (failure) {
        error.querySelector('span').textContent = failure instanceof Refused ? failure.message : box.dataset.failed;
        error.hidden = false;
        button.disabled = false;
      }
    });
    // Back to a page that was left in the middle.
    addEventListener('pageshow', (event) => {
      if (event.persisted) location.reload();
    });
  };

  // In place of a code: the grant stays in the session, and the form says "passkey" where its code would be.
  for (const box of document.querySelectorAll('[data-passkey-proof]')) {
    ceremony(box, async (form) => {
      const { begin, complete, action } = box.dataset;
      const options = await post(begin, form, { action, nonce: form.elements.nonce.value });
      const credential = await navigator.credentials.get({ publicKey: requestOptions(options) });
      await post(complete, form, { credential: JSON.stringify(toJson(credential)) });
      for (const field of form.querySelectorAll('input[name="code"]')) field.disabled = true;
      form.append(hidden('code', 'passkey'));
      form.requestSubmit();
    });
  }

  // A new one: what the browser made travels with the form.
  for (const box of document.querySelectorAll('[data-passkey-new]')) {
    const start = box.querySelector('[data-passkey-start]');
    start.form.addEventListener('submit', (event) => {
      const { name, credential } = event.target.elements;
      if (credential.value || !name.value.trim() || start.disabled) return;
      event.preventDefault(); // the Enter key
      start.click();
    });
    ceremony(box, async (form) => {
      if (!form.elements.name.value.trim()) return form.requestSubmit();
      const options = await post(box.dataset.begin, form, {});
      const credential = await navigator.credentials.create({ publicKey: creationOptions(options) });
      form.elements.credential.value = JSON.stringify(toJson(credential));
      form.requestSubmit();
    });
  }
})();
