// What applications do with an SDK whose answers come from a provider that speaks another API: `gpt-*` from
// Anthropic, `o4-*` from Gemini, all else from an OpenAI server that only chats. Each scenario checks what it got.

import assert from 'node:assert/strict';

import { clients } from './clients.mjs';

const ANSWERED = { '': 'gpt-4o-mini', gemini_: 'o4-mini' };
const GEMINI = 'gemini-2.5-flash';
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
  const { client, claude, google } = clients(load);
  const message = (text, more) => ({
    model: 'claude-sonnet-5-5',
    max_tokens: 200,
    messages: [{ role: 'user', content: `${text}, from Node` }],
    ...more,
  });

  // What an OpenAI client does, with a model that another provider answers for.
  const openai = (model) => ({
    chat: async (site) => {
      const answer = await client(site).chat.completions.create({ model, messages: messages('Hello') });
      assert.ok(answer.choices[0].message.content);
      assert.equal(answer.choices[0].finish_reason, 'stop');
      return answer.object;
    },
    chat_stream: async (site) => {
      const events = client(site).chat.completions.stream({
        model,
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
      const answer = await client(site).chat.completions.create({ model, messages: asked, tools: [TOOL] });
      const call = answer.choices[0].message.tool_calls[0];
      assert.equal(typeof JSON.parse(call.function.arguments).city, 'string');
      const result = { role: 'tool', tool_call_id: call.id, content: '12 mm' };
      const turns = [...asked, answer.choices[0].message, result];
      const after = await client(site).chat.completions.create({ model, messages: turns, tools: [TOOL] });
      assert.ok(after.choices[0].message.content);
      return call.function.name;
    },
    chat_stream_tools: async (site) => {
      const events = client(site).chat.completions.stream({ model, messages: messages('Rain?'), tools: [TOOL] });
      const final = await events.finalChatCompletion();
      assert.equal(typeof JSON.parse(final.choices[0].message.tool_calls[0].function.arguments).city, 'string');
      return final.choices[0].finish_reason;
    },
    chat_structured: async (site) => {
      const form = { type: 'json_schema', json_schema: { name: 'mood', schema: SCHEMA, strict: true } };
      const answer = await client(site).chat.completions.parse({
        model,
        messages: messages('How was it?'),
        response_format: form,
      });
      assert.equal(typeof JSON.parse(answer.choices[0].message.content).stars, 'number');
      return answer.choices[0].finish_reason;
    },
    chat_error_field: (site) => client(site).chat.completions.create({ model, messages: messages('No'), verbosity: 'low' }),
    responses: async (site) => {
      const answer = await client(site).responses.create({ model, input: 'Hello, from Node', store: false });
      assert.ok(answer.output_text);
      return answer.status;
    },
    responses_stream: async (site) => {
      const events = client(site).responses.stream({ model, input: 'sim:words=40, from Node', store: false });
      const final = await events.finalResponse();
      assert.ok(final.output_text);
      return final.status;
    },
  });
  const named = (prefix, model) =>
    Object.entries(openai(model)).map(([name, run]) => [prefix + name, run]);

  const table = {
    ...Object.fromEntries(Object.entries(ANSWERED).flatMap(([prefix, model]) => named(prefix, model))),
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
    google_plain: async (site) => {
      const answer = await google(site).models.generateContent({ model: GEMINI, contents: 'Hello, from Node' });
      assert.ok(answer.text);
      assert.ok(answer.usageMetadata.totalTokenCount > 0);
      return answer.candidates[0].finishReason;
    },
    google_stream: async (site) => {
      const contents = 'sim:words=40, from Node';
      let text = '';
      let last;
      for await (const chunk of await google(site).models.generateContentStream({ model: GEMINI, contents })) {
        text += chunk.text ?? '';
        last = chunk;
      }
      assert.ok(text);
      assert.ok(last.usageMetadata.totalTokenCount > 0);
      return last.candidates[0].finishReason;
    },
    google_tools: async (site) => {
      const config = { tools: [{ functionDeclarations: [{ name: 'weather', parametersJsonSchema: PARAMETERS }] }] };
      const contents = [{ role: 'user', parts: [{ text: 'Rain, from Node?' }] }];
      const answer = await google(site).models.generateContent({ model: GEMINI, contents, config });
      const call = answer.functionCalls[0];
      assert.equal(typeof call.args.city, 'string');
      const functionResponse = { name: call.name, response: { output: '12 mm' } };
      contents.push(answer.candidates[0].content, { role: 'user', parts: [{ functionResponse }] });
      const after = await google(site).models.generateContent({ model: GEMINI, contents, config });
      assert.ok(after.text);
      return call.name;
    },
  };
  return Object.fromEntries(
    Object.entries(table).map(([name, run]) => [name, { run, transport: false }]),
  );
}
