// Each vendor's client against a site; `load` loads its SDK.

export function clients(load) {
  const { OpenAI } = load('openai');
  const { Anthropic } = load('@anthropic-ai/sdk');
  const { GoogleGenAI } = load('@google/genai');
  return {
    client: (site) => new OpenAI({ baseURL: site.baseURL, apiKey: 'sk-test', maxRetries: 0 }),
    claude: (site) => new Anthropic({ baseURL: site.origin, apiKey: 'sk-test', maxRetries: 0 }),
    google: (site) => new GoogleGenAI({ apiKey: 'sk-test', httpOptions: { baseUrl: site.origin } }),
  };
}
