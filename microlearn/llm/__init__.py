"""Language models: text as numbers, counting, embeddings, attention, a GPT, its training, and how it writes."""
