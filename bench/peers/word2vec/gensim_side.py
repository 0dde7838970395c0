"""Word2Vec in gensim: trains on a file of one text a line, saves its vectors, and prints one JSON line."""

import json
import time

from gensim.models.word2vec import LineSentence, Word2Vec

from side import flags, peak_memory


def main():
    arguments = flags()
    model = Word2Vec(vector_size=arguments.dim, window=5, negative=5, min_count=5, sample=1e-3, sg=1, alpha=0.025, min_alpha=1e-4,
                     workers=arguments.threads, seed=arguments.seed)
    sentences = LineSentence(arguments.text)
    model.build_vocab(sentences)  # not counted: neither side's reading for the vocabulary is
    words = int(sum(model.wv.get_vecattr(word, "count") for word in model.wv.index_to_key))
    begin = time.perf_counter()
    model.train(sentences, total_examples=model.corpus_count, epochs=arguments.epochs)
    seconds = time.perf_counter() - begin
    model.wv.save_word2vec_format(arguments.save, binary=True)
    print(json.dumps({"words": words * arguments.epochs, "seconds": seconds, "words_per_s": words * arguments.epochs / seconds,
                      "peak_rss_bytes": peak_memory()}))


if __name__ == "__main__":
    main()
