// Makes what an SDK returns comparable between two calls: ids and times are masked, all else stays.

// Ids of the simulated provider: a prefix and 24 hexadecimal characters. Each becomes a number in order of
// appearance, so that two places that share an id still do.
const IDENTIFIER = /\b([a-z]+[-_]?)[0-9a-f]{24}\b/g;
const REQUEST_ID = /^req_[0-9a-f]+$/;
const TIMES = new Set(['created', 'created_at', 'completed_at']);
// Random padding, and what the SDKs add about the transport.
const DROPPED = new Set(['obfuscation', '_request_id', 'requestID', 'request_id', 'sdkHttpResponse', 'headers']);

export function plain(value) {
  return mask(value, new Map());
}

// An exception as an application sees it: its class, and what the API said.
export function failure(error) {
  const bases = [];
  for (let at = Object.getPrototypeOf(error); at?.constructor?.name; at = Object.getPrototypeOf(at)) {
    bases.push(at.constructor.name);
  }
  const seen = { class: bases[0], bases, message: String(error.message) };
  for (const name of ['status', 'code', 'type', 'param', 'error', 'partial']) {
    if (error[name] !== undefined) seen[name] = error[name];
  }
  return plain(seen);
}

function mask(value, seen, name) {
  if (TIMES.has(name) && typeof value === 'number') return value > 1_700_000_000 ? '<time>' : value;
  if (typeof value === 'string') return text(value, seen);
  if (Array.isArray(value)) return value.map((item) => mask(item, seen));
  if (value === null || typeof value !== 'object') return value ?? null;
  const members = Object.entries(value).filter(([key, item]) => !DROPPED.has(key) && item !== undefined);
  return Object.fromEntries(members.map(([key, item]) => [key, mask(item, seen, key)]));
}

function text(value, seen) {
  if (REQUEST_ID.test(value)) return '<request id>';
  return value.replace(IDENTIFIER, (id, prefix) => {
    if (!seen.has(id)) seen.set(id, seen.size + 1);
    return `<${prefix}${seen.get(id)}>`;
  });
}
