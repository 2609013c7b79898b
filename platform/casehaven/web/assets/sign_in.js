// The script of the sign-in pages: sends forms as JSON, speaks with passkeys, shows what the service answers. It stores nothing.
(() => {
  const body = document.body;
  const box = document.getElementById("sign-in-box");
  const words = JSON.parse(box.dataset.words);
  const worded = (key, fill = {}) => words[key].replace(/\{(\w+)\}/g, (_, name) => fill[name]);
  const byId = (id) => document.getElementById(id);
  let pageValue = "";

  const bytes = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  const say = (words) => {
    const message = byId("message");
    message.hidden = !words;
    message.textContent = words;
    if (words) message.scrollIntoView({ block: "nearest" });
  };

  class Refusal extends Error {
    constructor(problem) {
      const advice = problem.advice ? ` ${problem.advice[0].toUpperCase()}${problem.advice.slice(1)}.` : "";
      const said = problem.detail || problem.title || words.no_answer;
      super(words[`problems.${problem.code}`] || `${said[0].toUpperCase()}${said.slice(1)}${/[.!?]$/.test(said) ? "" : "."}${advice}`);
      this.code = problem.code;
    }
  }

  const ask = async (method, path, document_) => {
    const headers = { [box.dataset.header]: pageValue };
    if (document_ !== undefined) headers["Content-Type"] = "application/json";
    const answer = await fetch(path, {
      method,
      headers,
      cache: "no-store",
      body: document_ === undefined ? undefined : JSON.stringify(document_),
    });
    const found = answer.status === 204 ? null : await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Refusal(found || {});
    return found;
  };

  const assertion = async (options) => {
    const found = await navigator.credentials.get({ publicKey: { ...options, challenge: bytes(options.challenge) } });
    const answer = found.response;
    return {
      id: found.id,
      rawId: text(found.rawId),
      type: found.type,
      clientExtensionResults: found.getClientExtensionResults(),
      response: {
        authenticatorData: text(answer.authenticatorData),
        clientDataJSON: text(answer.clientDataJSON),
        signature: text(answer.signature),
        userHandle: answer.userHandle ? text(answer.userHandle) : null,
      },
    };
  };

  const registration = async (options) => {
    const found = await navigator.credentials.create({
      publicKey: {
        ...options,
        challenge: bytes(options.challenge),
        user: { ...options.user, id: bytes(options.user.id) },
        excludeCredentials: options.excludeCredentials.map((each) => ({ ...each, id: bytes(each.id) })),
      },
    });
    return {
      id: found.id,
      rawId: text(found.rawId),
      type: found.type,
      clientExtensionResults: found.getClientExtensionResults(),
      response: {
        attestationObject: text(found.response.attestationObject),
        clientDataJSON: text(found.response.clientDataJSON),
        transports: found.response.getTransports ? found.response.getTransports() : [],
      },
    };
  };

  // Runs what a person asked for, one thing after the other, and shows what went wrong. Asked for twice while it waits, it runs once.
  const waiting = new Set();
  let last = Promise.resolve();
  const attempt = (name, work) => {
    if (waiting.has(name)) return;
    waiting.add(name);
    last = last.then(async () => {
      body.setAttribute("aria-busy", "true");
      say("");
      try {
        await work();
      } catch (error) {
        if (error instanceof Refusal) say(error.message);
        else if (error instanceof DOMException) say(words.passkey_refused);
        else say(words.no_answer);
      } finally {
        waiting.delete(name);
        body.setAttribute("aria-busy", "false");
      }
    });
  };

  const onSubmit = (id, work) => {
    const form = byId(id);
    if (!form) return;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const fields = Object.fromEntries(new FormData(form));
      attempt(id, () => work(fields, form));
    });
  };
  const onClick = (id, work) => {
    const button = byId(id);
    if (button) button.addEventListener("click", () => attempt(id, work));
  };
  const go = (path) => window.location.assign(path);
  // Where the reader was on the way to: a page of this service, or home.
  const onward = () => {
    const wanted = new URLSearchParams(window.location.search).get("next") || "";
    return /^(\/[A-Za-z0-9._-]+)+$/.test(wanted) && !wanted.startsWith("/v1") ? wanted : "/home";
  };

  onSubmit("sign-in", async (fields) => {
    await ask("POST", "/v1/session", fields);
    go(onward());
  });
  onClick("passkey", async () => {
    const credential = await assertion(await ask("POST", "/v1/session/passkey-options"));
    await ask("POST", "/v1/session/passkey", { credential });
    go(onward());
  });
  for (const [id, path] of [["set-up", "/v1/setup"], ["join", "/v1/join"], ["recover", "/v1/recover"]]) {
    onSubmit(id, async (fields) => {
      await ask("POST", path, fields);
      go("/account");
    });
  }

  if (box.dataset.page !== "account") return;

  const show = (session) => {
    pageValue = session.page_value;
    for (const field of document.querySelectorAll("input[name=page]")) field.value = pageValue; // a second factor changes it
    byId("who").textContent = `${session.handle}, ${session.organisation}` + (session.roles.length ? ` (${session.roles.map((role) => words[`role_${role}`]).join(", ")})` : "");
    byId("password-owner").value = session.handle; // for password managers
    byId("enrolling").hidden = session.kind !== "enrolling";
    byId("leave").hidden = session.kind !== "full";
    byId("step-up").hidden = session.kind !== "full" || session.stepped_up;
  };

  const refresh = async () => {
    show(await ask("GET", "/v1/session"));
    const found = await ask("GET", "/v1/credentials");
    byId("finish").disabled = !found.way_in;
    byId("password-state").textContent = found.password ? words.password_set : words.password_none;
    byId("app-state").textContent = found.app
      ? worded("app_set", { left: found.recovery_codes_left })
      : words.app_none;
    const moment = (seconds) => `\u2068${new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ")} UTC\u2069`;
    const line = (said, action, label, path) => {
      const item = document.createElement("li");
      item.textContent = `${said} `;
      if (!path) return item;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = action;
      button.className = "small";
      button.setAttribute("aria-label", label);
      button.addEventListener("click", () =>
        attempt(path, async () => {
          await ask("DELETE", path);
          await refresh();
        }),
      );
      item.append(button);
      return item;
    };
    byId("passkeys").replaceChildren(
      ...found.passkeys.map((each) => line(each.name, worded("remove", { name: "" }).trim(), worded("remove", { name: each.name }), `/v1/credentials/passkeys/${each.id}`)),
    );
    const sessions = byId("leave").hidden ? [] : await ask("GET", "/v1/sessions");
    byId("sessions").replaceChildren(
      ...sessions.map((each) => {
        const began = moment(each.started_at);
        const seen = moment(each.seen_at);
        if (each.here) return line(worded("here", { began }));
        return line(worded("elsewhere", { began, seen }), words.end, worded("end_of", { began }), `/v1/sessions/${each.id}`);
      }),
    );
  };

  onSubmit("step-up-code", async (fields, form) => {
    show(await ask("POST", "/v1/session/step-up", fields));
    form.reset();
  });
  onClick("step-up-passkey", async () => {
    const credential = await assertion(await ask("POST", "/v1/session/step-up/passkey-options"));
    show(await ask("POST", "/v1/session/step-up/passkey", { credential }));
  });
  onSubmit("add-passkey", async (fields, form) => {
    const credential = await registration(await ask("POST", "/v1/credentials/passkeys/options"));
    await ask("POST", "/v1/credentials/passkeys", { credential, name: fields.name });
    form.reset();
    await refresh();
  });
  onSubmit("set-password", async (fields, form) => {
    await ask("PUT", "/v1/credentials/password", fields);
    form.reset();
    await refresh();
  });
  onClick("begin-app", async () => {
    const made = await ask("POST", "/v1/credentials/app");
    byId("app-secret").textContent = made.secret.replace(/(.{4})/g, "$1 ").trim();
    byId("app-uri").href = made.uri;
    byId("app").hidden = false;
    byId("codes").hidden = true;
  });
  onSubmit("confirm-app", async (fields, form) => {
    const made = await ask("POST", "/v1/credentials/app/confirm", fields);
    form.reset();
    byId("app").hidden = true;
    byId("app-secret").textContent = "";
    byId("app-uri").removeAttribute("href");
    byId("codes-list").replaceChildren(
      ...made.codes.map((code) => Object.assign(document.createElement("li"), { textContent: code })),
    );
    byId("codes").hidden = false;
    await refresh();
  });
  onClick("finish", async () => {
    await ask("POST", "/v1/enrolment/finish");
    go("/home");
  });
  onClick("sign-out-everywhere", async () => {
    await ask("DELETE", "/v1/session?everywhere=true");
    go("/sign-in");
  });

  attempt("show", async () => {
    try {
      await refresh();
    } catch (error) {
      if (error instanceof Refusal && error.code === "not-signed-in") go("/sign-in");
      else throw error;
    }
  });
})();
