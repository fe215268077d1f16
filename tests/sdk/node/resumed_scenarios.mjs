// What applications see of streams that broke off and went on at another provider: one answer, by SDK.

import assert from 'node:assert/strict';

import { clients } from './clients.mjs';

const TEXT = 'one two three four five six seven eight nine ten eleven twelve';
const ASKED = `sim:say=${TEXT}`;
const messages = [{ role: 'user', content: ASKED }];

export function scenarios(load) {
  const { client, claude, google } = clients(load);

  const oneCompletion = async (site, model) => {
    const body = { model, messages, stream: true, stream_options: { include_usage: true } };
    const chunks = [];
    for await (const chunk of await client(site).chat.completions.create(body)) chunks.push(chunk);
    const said = chunks.flatMap((chunk) => chunk.choices.map((choice) => choice.delta.content ?? '')).join('');
    assert.equal(said, TEXT);
    assert.equal(new Set(chunks.map((chunk) => `${chunk.id} ${chunk.model} ${chunk.created}`)).size, 1);
    assert.ok(chunks.at(-1).usage.completion_tokens > 5);
    return chunks[0].object;
  };

  const table = {
    chat_stream: (site) => oneCompletion(site, 'gpt-4o-mini'),
    chat_stream_in_another_api: (site) => oneCompletion(site, 'o4-mini'),
    chat_stream_helper: async (site) => {
      const final = await client(site).chat.completions.stream({ model: 'gpt-4o-mini', messages }).finalChatCompletion();
      assert.equal(final.choices[0].message.content, TEXT);
      return final.choices[0].finish_reason;
    },
    responses_stream: async (site) => {
      const events = client(site).responses.stream({ model: 'gpt-4o-mini', input: ASKED, store: false });
      const numbers = [];
      events.on('event', (event) => numbers.push(event.sequence_number));
      const final = await events.finalResponse();
      assert.equal(final.output_text, TEXT);
      assert.deepEqual(numbers, [...numbers.keys()]);
      return final.status;
    },
    messages_stream: async (site) => {
      const body = { model: 'claude-sonnet-4-5', max_tokens: 99, messages };
      const final = await claude(site).messages.stream(body).finalMessage();
      assert.equal(final.content.length, 1);
      assert.equal(final.content[0].text, TEXT);
      return final.stop_reason;
    },
    generate_stream: async (site) => {
      const asked = { model: 'gemini-2.5-flash', contents: ASKED };
      let text = '';
      for await (const chunk of await google(site).models.generateContentStream(asked)) text += chunk.text ?? '';
      assert.equal(text, TEXT);
      return text;
    },
  };
  return Object.fromEntries(Object.entries(table).map(([name, run]) => [name, { run, transport: false }]));
}
