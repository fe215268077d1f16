// What applications see of answers that rules give, by SDK.

import assert from 'node:assert/strict';

import { clients } from './clients.mjs';

const SAID = 'أهلا! How can I help?';
const MODEL = 'gpt-4o-mini';
const asked = (text = 'Hello!') => [{ role: 'user', content: text }];

export function scenarios(load) {
  const { client, claude, google } = clients(load);
  const message = { model: 'claude-sonnet-5-5', max_tokens: 9, messages: asked() };
  const generation = { model: 'gemini-2.5-flash', contents: 'Hello!' };
  const create = (site, body) => client(site).chat.completions.create({ model: MODEL, messages: asked(), ...body });

  const table = {
    chat: async (site) => {
      const answer = await create(site);
      assert.equal(answer.choices[0].message.content, SAID);
      return answer.choices[0].finish_reason;
    },
    chat_stream: async (site) => {
      const chunks = [];
      for await (const chunk of await create(site, { stream: true, stream_options: { include_usage: true } })) {
        chunks.push(chunk);
      }
      const text = chunks.flatMap((chunk) => chunk.choices.map((choice) => choice.delta.content ?? '')).join('');
      assert.equal(text, SAID);
      assert.ok(chunks.at(-1).usage);
      return chunks[0].object;
    },
    chat_stream_helper: async (site) => {
      const events = client(site).chat.completions.stream({ model: MODEL, messages: asked() });
      const final = await events.finalChatCompletion();
      assert.equal(final.choices[0].message.content, SAID);
      return final.choices[0].finish_reason;
    },
    responses: async (site) => {
      const answer = await client(site).responses.create({ model: MODEL, input: 'Hello!', store: false });
      assert.equal(answer.output_text, SAID);
      return answer.status;
    },
    responses_stream: async (site) => {
      const events = client(site).responses.stream({ model: MODEL, input: 'Hello!', store: false });
      const final = await events.finalResponse();
      assert.equal(final.output_text, SAID);
      return final.status;
    },
    messages: async (site) => {
      const answer = await claude(site).messages.create(message);
      assert.equal(answer.content[0].text, SAID);
      return answer.stop_reason;
    },
    messages_stream: async (site) => {
      const final = await claude(site).messages.stream(message).finalMessage();
      assert.equal(final.content[0].text, SAID);
      return final.stop_reason;
    },
    generate: async (site) => {
      const answer = await google(site).models.generateContent(generation);
      assert.equal(answer.text, SAID);
      return answer.candidates[0].finishReason;
    },
    generate_stream: async (site) => {
      let text = '';
      for await (const chunk of await google(site).models.generateContentStream(generation)) text += chunk.text ?? '';
      assert.equal(text, SAID);
      return text;
    },
    search: async (site) => {
      const found = [];
      for await (const result of client(site).vectorStores.search('vs_shop', { query: 'nothing' })) found.push(result);
      assert.deepEqual(found, []);
      return found;
    },
    error_denied: (site) => create(site, { messages: asked('forbidden') }),
    error_denied_stream: (site) => create(site, { messages: asked('forbidden'), stream: true }),
  };
  return Object.fromEntries(Object.entries(table).map(([name, run]) => [name, { run, transport: false }]));
}
