// What applications do with an SDK whose answers come from a provider that speaks another API: `gpt-*` from
// Anthropic, `claude-*` from an OpenAI server that only chats. Each scenario checks what it got.

import assert from 'node:assert/strict';

const GPT = 'gpt-4o-mini';
const PARAMETERS = {
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
  additionalProperties: false,
};
const TOOL = { type: 'function', function: { name: 'weather', parameters: PARAMETERS, strict: true } };
const SCHEMA = {
  type: 'object',
  properties: { mood: { type: 'string' }, stars: { type: 'integer' } },
  required: ['mood', 'stars'],
  additionalProperties: false,
};
const messages = (text) => [
  { role: 'system', content: 'You help a shop, from Node.' },
  { role: 'user', content: text },
];

export function scenarios(load) {
  const { OpenAI } = load('openai');
  const { Anthropic } = load('@anthropic-ai/sdk');
  const client = (site) => new OpenAI({ baseURL: site.baseURL, apiKey: 'sk-test', maxRetries: 0 });
  const claude = (site) => new Anthropic({ baseURL: site.origin, apiKey: 'sk-test', maxRetries: 0 });
  const message = (text, more) => ({
    model: 'claude-sonnet-5-5',
    max_tokens: 200,
    messages: [{ role: 'user', content: `${text}, from Node` }],
    ...more,
  });

  const table = {
    chat: async (site) => {
      const answer = await client(site).chat.completions.create({ model: GPT, messages: messages('Hello') });
      assert.ok(answer.choices[0].message.content);
      assert.equal(answer.choices[0].finish_reason, 'stop');
      return answer.object;
    },
    chat_stream: async (site) => {
      const events = client(site).chat.completions.stream({
        model: GPT,
        messages: messages('sim:words=40'),
        stream_options: { include_usage: true },
      });
      const final = await events.finalChatCompletion();
      assert.ok(final.choices[0].message.content);
      assert.ok(final.usage.completion_tokens > 0);
      return final.object;
    },
    chat_tools: async (site) => {
      const asked = messages('Rain in Bergen?');
      const answer = await client(site).chat.completions.create({ model: GPT, messages: asked, tools: [TOOL] });
      const call = answer.choices[0].message.tool_calls[0];
      assert.equal(typeof JSON.parse(call.function.arguments).city, 'string');
      const result = { role: 'tool', tool_call_id: call.id, content: '12 mm' };
      const turns = [...asked, answer.choices[0].message, result];
      const after = await client(site).chat.completions.create({ model: GPT, messages: turns, tools: [TOOL] });
      assert.ok(after.choices[0].message.content);
      return call.function.name;
    },
    chat_stream_tools: async (site) => {
      const events = client(site).chat.completions.stream({ model: GPT, messages: messages('Rain?'), tools: [TOOL] });
      const final = await events.finalChatCompletion();
      assert.equal(typeof JSON.parse(final.choices[0].message.tool_calls[0].function.arguments).city, 'string');
      return final.choices[0].finish_reason;
    },
    chat_structured: async (site) => {
      const form = { type: 'json_schema', json_schema: { name: 'mood', schema: SCHEMA, strict: true } };
      const answer = await client(site).chat.completions.parse({
        model: GPT,
        messages: messages('How was it?'),
        response_format: form,
      });
      assert.equal(typeof JSON.parse(answer.choices[0].message.content).stars, 'number');
      return answer.choices[0].finish_reason;
    },
    chat_error_field: (site) => client(site).chat.completions.create({ model: GPT, messages: messages('No'), seed: 7 }),
    responses: async (site) => {
      const answer = await client(site).responses.create({ model: GPT, input: 'Hello, from Node', store: false });
      assert.ok(answer.output_text);
      return answer.status;
    },
    responses_stream: async (site) => {
      const events = client(site).responses.stream({ model: GPT, input: 'sim:words=40, from Node', store: false });
      const final = await events.finalResponse();
      assert.ok(final.output_text);
      return final.status;
    },
    claude_plain: async (site) => {
      const answer = await claude(site).messages.create(message('Hello'));
      assert.ok(answer.content[0].text);
      return answer.stop_reason;
    },
    claude_stream: async (site) => {
      const final = await claude(site).messages.stream(message('sim:words=40')).finalMessage();
      assert.ok(final.content[0].text);
      return final.stop_reason;
    },
    claude_tools: async (site) => {
      const tools = [{ name: 'weather', input_schema: PARAMETERS }];
      const final = await claude(site).messages.stream(message('Rain', { tools })).finalMessage();
      const call = final.content.find((block) => block.type === 'tool_use');
      assert.equal(typeof call.input.city, 'string');
      return final.stop_reason;
    },
  };
  return Object.fromEntries(
    Object.entries(table).map(([name, run]) => [name, { run, transport: false }]),
  );
}
