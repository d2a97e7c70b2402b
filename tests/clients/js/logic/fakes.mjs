/** Stand-ins for what is around the client: a server behind `fetch`, sockets, a player, a page. */

/** Lets everything that can run now run. */
export const settle = async () => {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

export const json = (body, status = 200, headers = {}) => new Response(JSON.stringify(body), { status, headers });

export const refusal = (status, reason, headers = {}) => json({ status, reason, detail: reason }, status, headers);

/**
 * A `fetch` whose requests are kept; each is answered by `answer`, and rejects when its signal is aborted.
 *
 * @param {(request: {method: string, path: string, query: URLSearchParams, headers: Record<string, string>,
 *   body: any, signal: AbortSignal}) => any} answer
 */
export function server(answer) {
  const requests = [];
  const fetch = (address, { method, headers, body, signal }) => {
    const url = new URL(address, "http://edge.test");
    const request = { method, path: url.pathname, query: url.searchParams, headers, body: body && JSON.parse(body), signal };
    requests.push(request);
    return new Promise((resolve, reject) => {
      const abort = () => reject(signal.reason ?? new DOMException("aborted", "AbortError"));
      if (signal?.aborted) abort();
      signal?.addEventListener("abort", abort);
      Promise.resolve().then(() => answer(request)).then(resolve, reject);
    });
  };
  return { fetch, requests };
}

/** A response body that the test writes. */
export function eventStream(status = 200, type = "text/event-stream") {
  let control;
  const encoder = new TextEncoder();
  const body = new ReadableStream({ start: (controller) => (control = controller) });
  return {
    response: new Response(body, { status, headers: { "Content-Type": type } }),
    write: (text) => control.enqueue(encoder.encode(text)),
    close: () => control.close(),
    error: (error) => control.error(error),
  };
}

/** A JWT that nobody has signed. */
export function token(claims) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "HS256" })}.${part(claims)}.signature`;
}

export class FakeSocket extends EventTarget {
  static made = [];

  constructor(url) {
    super();
    this.url = url;
    this.isClosed = false;
    FakeSocket.made.push(this);
  }

  bring(frame) {
    this.dispatchEvent(new MessageEvent("message", { data: JSON.stringify(frame) }));
  }

  end(code, reason = "") {
    this.dispatchEvent(Object.assign(new Event("close"), { code, reason }));
  }

  close() {
    this.isClosed = true;
  }
}

/** A player whose clock the test moves. */
export class FakePlayer extends EventTarget {
  currentTime = 0;
  paused = true;
  playbackRate = 1;

  play() {
    this.paused = false;
    this.dispatchEvent(new Event("play"));
  }

  pause() {
    this.paused = true;
    this.dispatchEvent(new Event("pause"));
  }

  moveTo(seconds) {
    this.currentTime = seconds;
    this.dispatchEvent(new Event("timeupdate"));
  }

  seek(seconds) {
    this.currentTime = seconds;
    this.dispatchEvent(new Event("seeking"));
    this.dispatchEvent(new Event("seeked"));
  }
}
