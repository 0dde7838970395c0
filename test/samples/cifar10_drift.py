# ctest: timeout 180
"""cifar10 --drift: labels change places in the stream, which the run notices and learns."""

import unittest

from _cifar10 import Training


class Drift(Training):
    def test_it_is_found_and_learnt(self):
        run, figures = self.train("--epochs", 60, "--drift", 9_000)  # 15,420 images
        self.assertEqual(len([at for at in figures["drifts"] if 9_000 <= at <= 10_000]), 1, run)
        self.assertEqual([at for at in figures["drifts"] if at < 9_000], [], run)
        self.assertEqual(figures["test_accuracy"], [], run)
        self.assertGreater(figures["prequential_accuracy"], 0.8, run)


if __name__ == "__main__":
    unittest.main()
