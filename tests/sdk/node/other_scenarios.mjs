// What applications do with Anthropic's and Google's own SDKs for Node.

const CLAUDE = 'claude-sonnet-5-5';
const GEMINI = 'gemini-2.5-flash';
const TOOL = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };

export function scenarios(load) {
  const { Anthropic } = load('@anthropic-ai/sdk');
  const { GoogleGenAI } = load('@google/genai');
  const claude = (site, apiKey = 'sk-test') => new Anthropic({ baseURL: site.origin, apiKey, maxRetries: 0 });
  const gemini = (site, headers) =>
    new GoogleGenAI({ apiKey: 'sk-test', httpOptions: { baseUrl: site.origin, headers } });
  const ask = (text) => ({
    model: CLAUDE,
    max_tokens: 200,
    messages: [{ role: 'user', content: `${text}, from Node` }],
  });
  const all = async (events) => {
    const list = [];
    for await (const event of await events) list.push(event);
    return list;
  };
  const tools = [{ name: 'weather', input_schema: TOOL }];

  const table = {
    claude_plain: (site) => claude(site).messages.create(ask('Hello')),
    claude_tool: (site) => claude(site).messages.create({ ...ask('Rain?'), tools }),
    claude_stream: (site) => all(claude(site).messages.create({ ...ask('Stream'), stream: true })),
    claude_stream_tool: async (site) => {
      const events = claude(site).messages.stream({ ...ask('Stream rain'), tools });
      const kinds = (await all(events)).map((event) => event.type);
      return { kinds, final: await events.finalMessage() };
    },
    claude_error_overloaded: (site) =>
      claude(site).messages.create(ask('Overloaded'), { headers: { 'x-sim-fault': 'status-529' } }),
    claude_error_in_stream: (site) =>
      all(
        claude(site).messages.create(
          { ...ask('Error'), stream: true },
          { headers: { 'x-sim-fault': 'error-mid-stream' } },
        ),
      ),
    claude_error_key: (site) => claude(site, 'sk-invalid').messages.create(ask('Hello')),
    gemini_plain: (site) => gemini(site).models.generateContent({ model: GEMINI, contents: 'Hello, from Node' }),
    gemini_tool: (site) => {
      const declaration = { name: 'weather', parametersJsonSchema: TOOL };
      const config = { tools: [{ functionDeclarations: [declaration] }] };
      return gemini(site).models.generateContent({ model: GEMINI, contents: 'Rain, from Node?', config });
    },
    gemini_stream: (site) =>
      all(gemini(site).models.generateContentStream({ model: GEMINI, contents: 'Stream, from Node' })),
    gemini_embeddings: (site) =>
      gemini(site).models.embedContent({
        model: 'gemini-embedding-001',
        contents: ['blue', 'red'],
        config: { outputDimensionality: 8, taskType: 'RETRIEVAL_QUERY' },
      }),
    gemini_error_limit: (site) =>
      gemini(site, { 'x-sim-fault': 'rate-limited' }).models.generateContent({ model: GEMINI, contents: 'No' }),
  };
  return Object.fromEntries(Object.entries(table).map(([name, run]) => [name, { run, transport: false }]));
}
