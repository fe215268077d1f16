// What applications do with the OpenAI SDK for Node (6.x and 7.x).

const MODEL = 'gpt-4o-mini';
const EMBED = 'text-embedding-3-small';
const USAGE = { include_usage: true };
const tool = (name) => ({
  type: 'function',
  function: {
    name,
    description: 'Looks it up',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string' }, days: { type: 'integer' } },
      required: ['city'],
    },
  },
});
const TOOLS = [tool('weather'), tool('tides')];
const RESPONSE_TOOL = { type: 'function', strict: false, ...TOOLS[0].function };
const SCHEMA = {
  type: 'object',
  properties: { mood: { type: 'string', enum: ['good', 'bad'] }, stars: { type: 'integer' } },
  required: ['mood', 'stars'],
  additionalProperties: false,
};
const fault = (name, more) => ({ 'x-sim-fault': name, ...more });
const messages = (text) => [
  { role: 'system', content: 'You help a shop, from Node.' },
  { role: 'user', content: text },
];

export function scenarios(load) {
  const { OpenAI, toFile } = load('openai');
  const clients = new Map();
  const client = (site, options = {}) => {
    const key = JSON.stringify(options);
    if (!clients.has(key)) {
      clients.set(key, new OpenAI({ baseURL: site.baseURL, apiKey: 'sk-test', maxRetries: 0, ...options }));
    }
    return clients.get(key);
  };

  const chat = (site, text, body, headers, retries = 0) =>
    client(site, { maxRetries: retries }).chat.completions.create(
      { model: MODEL, messages: messages(text), ...body },
      { headers },
    );

  // All chunks; where the stream breaks, the exception tells which came before.
  const stream = async (site, text, body, headers) => {
    const chunks = [];
    try {
      for await (const chunk of await chat(site, text, { ...body, stream: true }, headers)) chunks.push(chunk);
    } catch (error) {
      error.partial = textOf(chunks);
      throw error;
    }
    return chunks;
  };
  const textOf = (chunks) =>
    chunks.flatMap((chunk) => chunk.choices.map((choice) => choice.delta.content ?? '')).join('');
  const all = async (events) => {
    const list = [];
    for await (const event of await events) list.push(event);
    return list;
  };
  const respond = (site, body) => client(site).responses.create({ model: MODEL, store: false, ...body });
  const embed = (site, body) => client(site).embeddings.create({ model: EMBED, ...body });

  const worded = {
    chat_plain: (site) => chat(site, 'What does shipping cost?'),
    chat_arabic: (site) => chat(site, 'كم سعر الشحن؟ 🙂', { temperature: 0 }),
    chat_limit: (site) => chat(site, 'Tell me all. sim:words=80', { max_completion_tokens: 5 }),
    chat_choices: (site) => chat(site, 'Three names, please', { n: 3 }),
    chat_logprobs: (site) => chat(site, 'How sure are you?', { logprobs: true, top_logprobs: 2 }),
    chat_refusal: (site) => chat(site, 'sim:refuse'),
    chat_tool: (site) => chat(site, 'Rain in Oslo?', { tools: TOOLS.slice(0, 1), tool_choice: 'required' }),
    chat_parallel_tools: (site) => chat(site, 'Rain and tides in Oslo?', { tools: TOOLS }),
    chat_structured: async (site) => {
      const form = { type: 'json_schema', json_schema: { name: 'mood', schema: SCHEMA, strict: true } };
      const answer = await chat(site, 'How was it?', { response_format: form });
      return { answer, value: JSON.parse(answer.choices[0].message.content) };
    },
    chat_extra_body: (site) => chat(site, 'With extras', { top_k: 3, user: 'u-1', seed: 7 }),
    chat_large: (site) => chat(site, 'Read this: ' + 'word سطر '.repeat(80_000)),
    chat_raw: async (site) => {
      const { data, response } = await chat(site, 'Raw').withResponse();
      const names = ['content-type', 'openai-version', 'openai-organization'];
      const headers = Object.fromEntries(names.map((name) => [name, response.headers.get(name)]));
      return { status: response.status, seen: headers, identified: Boolean(data._request_id), data };
    },
    chat_parallel_clients: async (site) => {
      const caller = client(site);
      const texts = ['one', 'two', 'three', 'four', 'one'];
      const create = (text) => caller.chat.completions.create({ model: MODEL, messages: messages(text) });
      return (await Promise.all(texts.map(create))).map((answer) => answer.choices[0]);
    },

    stream_plain: (site) => stream(site, 'Stream it'),
    stream_usage: (site) => stream(site, 'Stream it with usage', { stream_options: USAGE }),
    stream_arabic: (site) => stream(site, 'متى يفتح المتجر؟ 🙂'),
    stream_choices: (site) => stream(site, 'Stream three', { n: 3, stream_options: USAGE }),
    stream_tools: (site) => stream(site, 'Stream rain and tides', { tools: TOOLS }),
    stream_logprobs: (site) => stream(site, 'Stream how sure', { logprobs: true, top_logprobs: 1 }),
    stream_refusal: (site) => stream(site, 'Stream sim:refuse'),
    stream_long: async (site) => textOf(await stream(site, 'sim:words=2000')),
    stream_helper: async (site) => {
      const events = client(site).chat.completions.stream({ model: MODEL, messages: messages('Help me stream') });
      const kinds = [];
      for (const kind of ['connect', 'content', 'end']) events.on(kind, () => kinds.push(kind));
      return { final: await events.finalChatCompletion(), kinds };
    },
    stream_left_early: async (site) => {
      const caller = client(site);
      const body = { model: MODEL, messages: messages('sim:words=500') };
      const first = [];
      for await (const chunk of await caller.chat.completions.create({ ...body, stream: true })) {
        first.push(chunk);
        if (first.length === 2) break;
      }
      const then = await caller.chat.completions.create({ model: MODEL, messages: messages('And then?') });
      return { first, then };
    },
    json_then_stream: async (site) => {
      const whole = (await chat(site, 'Both ways')).choices[0].message.content;
      return { whole, streamed: textOf(await stream(site, 'Both ways')) };
    },
    stream_then_json: async (site) => {
      const streamed = textOf(await stream(site, 'The other way round'));
      const answer = await chat(site, 'The other way round');
      return { streamed, whole: answer.choices[0], usage: answer.usage };
    },

    completion: (site) =>
      client(site).completions.create({ model: 'gpt-3.5-turbo-instruct', prompt: ['Once', 'Twice'], max_tokens: 6 }),
    completion_stream: (site) =>
      all(client(site).completions.create({ model: 'gpt-3.5-turbo-instruct', prompt: 'Thrice', stream: true })),
    response: (site) => respond(site, { input: 'Respond', instructions: 'Be brief.' }),
    response_stored: (site) => respond(site, { input: 'Respond and store', store: true }),
    response_tool: (site) => respond(site, { input: 'Rain?', tools: [RESPONSE_TOOL] }),
    response_limit: (site) => respond(site, { input: 'sim:words=90', max_output_tokens: 16 }),
    response_stream: (site) => all(respond(site, { input: 'Respond live', stream: true })),
    response_stream_tool: (site) => all(respond(site, { input: 'Live rain?', tools: [RESPONSE_TOOL], stream: true })),
    response_stream_helper: async (site) => {
      const events = client(site).responses.stream({ model: MODEL, input: 'Help me respond', store: false });
      const kinds = (await all(events)).map((event) => event.type);
      return { kinds, text: (await events.finalResponse()).output_text };
    },
    embedding_string: (site) => embed(site, { input: 'blue' }),
    embedding_list: (site) => embed(site, { input: ['blue', 'red', 'أزرق', 'blue'], dimensions: 16 }),
    embedding_tokens: (site) => embed(site, { input: [[1, 2, 3], [4]], dimensions: 16 }),
    embedding_float: (site) => embed(site, { input: 'float', encoding_format: 'float' }),
    embedding_base64: (site) => embed(site, { input: 'coded', encoding_format: 'base64', dimensions: 16 }),
    moderation: (site) => client(site).moderations.create({ input: ['I will kill him', 'kind words'] }),
    models: async (site) => all(client(site).models.list()),
    vector_store_search: async (site) => [
      await all(client(site).vectorStores.search('vs_shop', { query: 'tax', max_num_results: 2 })),
      await all(client(site).vectorStores.search('vs_empty', { query: ['tax', 'refund'] })),
    ],
    file_upload: async (site) => {
      const content = Buffer.from('{"custom_id": "a"}\n'.repeat(200_000));
      const file = await toFile(content, 'batch.jsonl');
      const stored = await client(site).files.create({ file, purpose: 'batch' });
      // Its length and hash cover the multipart boundary, which is random.
      return { filename: stored.filename, purpose: stored.purpose, whole: stored.bytes > content.length };
    },

    error_key: (site) =>
      client(site, { apiKey: 'sk-invalid' }).chat.completions.create({ model: MODEL, messages: messages('hi') }),
    error_model: (site) =>
      client(site).chat.completions.create({ model: 'no-such-model', messages: messages('hi') }),
    error_parameter: (site) => chat(site, 'Too hot', { temperature: 9 }),
    error_rate_limit: (site) => chat(site, 'Limited', {}, fault('rate-limited-ms')),
    error_quota: (site) => chat(site, 'Broke', {}, fault('quota')),
    error_server: (site) => chat(site, 'Failed', {}, fault('server-error')),
    error_html: (site) => chat(site, 'Overloaded', {}, fault('unavailable-html')),
    error_overloaded_stream: (site) => stream(site, 'Overloaded stream', {}, fault('status-529')),
    error_retried: (site) => {
      const times = { 'x-sim-fault-times': '2', 'x-sim-fault-id': `${site.run}-retried` };
      return chat(site, 'Third time lucky', {}, fault('rate-limited-ms', times), 2);
    },
    error_retries_exhausted: (site) => chat(site, 'Never lucky', {}, fault('rate-limited-ms'), 2),
    error_in_stream: (site) => stream(site, 'Error in the middle', {}, fault('error-mid-stream')),
    error_first_in_stream: (site) => stream(site, 'Error first', {}, fault('error-in-body')),
    error_in_body: (site) => chat(site, 'Error in a 200', {}, fault('error-in-body')),

    framing_crlf: (site) => stream(site, 'CRLF', {}, fault('crlf')),
    framing_comments: (site) => stream(site, 'Comments', {}, fault('comments')),
    framing_bytes: (site) => stream(site, 'Byte by byte سطر', {}, fault('byte-writes')),
    framing_no_done: (site) => stream(site, 'No end mark', {}, fault('no-done')),
    framing_gzip: (site) => chat(site, 'Packed', {}, fault('gzip')),
    framing_trailers: (site) => chat(site, 'Trailers', {}, fault('trailers')),
    framing_early_hints: (site) => chat(site, 'Hints', {}, fault('early-hints')),
    framing_close: (site) => stream(site, 'Until the end', {}, fault('close-delimited')),
  };

  // A failure of the connection itself: a proxy words it differently, but it must fail.
  const transport = {
    broken_before_head: (site) => chat(site, 'Reset', {}, fault('reset-before-head')),
    broken_mid_stream: (site) => stream(site, 'Reset in the middle', {}, fault('reset-mid-stream')),
    broken_fin_mid_stream: (site) => stream(site, 'End in the middle', {}, fault('fin-mid-stream')),
    broken_json: (site) => chat(site, 'Half a body', {}, fault('fin-mid-stream')),
    broken_not_http: (site) => chat(site, 'No HTTP', {}, fault('not-http')),
  };

  const table = {};
  for (const [name, run] of Object.entries(worded)) table[name] = { run, transport: false };
  for (const [name, run] of Object.entries(transport)) table[name] = { run, transport: true };
  return table;
}
