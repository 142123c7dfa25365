"""Logistic regression that tunes itself: the derivative of a whole training run with its branches.

The data are the 569 tumours of the Wisconsin breast cancer set that scikit-learn ships. `train` is
gradient descent as one writes it: a `while` that stops when little is left to gain, and an `if` that
lengthens the step after progress and halves it after a setback. How long it runs and which way the `if`
goes depend on the data and on the penalty.

The penalty itself is a knob nobody likes to turn by hand. `tg.value_and_grad(held_out_loss)`
differentiates the loss on unseen tumours through the entire training run, so the knob turns itself.
(Where a small change of the penalty makes the training take one step more, the held-out loss jumps a
little; the derivative is that of the path taken.)
"""

import time

import numpy as np
from sklearn.datasets import load_breast_cancer

import tracegrad as tg


def load():
    """Standardised features with a column of ones, labels -1 and 1; every other tumour is held out."""
    features, malignant = load_breast_cancer(return_X_y=True)
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    features = np.column_stack([features, np.ones(len(features))])
    labels = np.where(malignant == 0, 1.0, -1.0)
    return features[::2], labels[::2], features[1::2], labels[1::2]


X, Y, X_HELD_OUT, Y_HELD_OUT = load()


def log_loss(w, x, y):
    """Mean of log(1 + exp(-margin)), for margins of any size."""
    return np.mean(np.logaddexp(0.0, -y * np.dot(x, w)))


def train(log_penalty):
    """Weights after gradient descent with a step that adapts and a stop that comes early."""
    penalty = np.exp(log_penalty)
    w = np.zeros(X.shape[1])
    loss = log_loss(w, X, Y) + 0.5 * penalty * np.dot(w, w)
    step = 1.0
    gain = 1.0
    while gain > 1e-5:
        pull = Y / (1.0 + np.exp(Y * np.dot(X, w)))
        new_w = w + step * (np.dot(pull, X) / len(Y) - penalty * w)
        new_loss = log_loss(new_w, X, Y) + 0.5 * penalty * np.dot(new_w, new_w)
        if new_loss < loss:
            gain = loss - new_loss
            w, loss = new_w, new_loss
            step = step * 1.3
        else:
            step = step * 0.5
    return w


def held_out_loss(log_penalty):
    """How well the trained weights do on tumours they have not seen."""
    return log_loss(train(log_penalty), X_HELD_OUT, Y_HELD_OUT)


def main():
    hyper = tg.value_and_grad(held_out_loss)
    log_penalty, rate = np.log(1.0), 20.0

    print("descending the held-out loss by the penalty of the training run")
    print(f"{'penalty':>10}{'held-out loss':>16}{'derivative':>13}{'seconds':>10}")
    for _ in range(12):
        began = time.perf_counter()
        value, slope = hyper(log_penalty)
        seconds = time.perf_counter() - began
        print(f"{np.exp(log_penalty):10.4f}{value:16.5f}{slope:13.5f}{seconds:10.4f}")
        log_penalty = log_penalty - np.clip(rate * slope, -1.0, 1.0)

    nudge = 1e-6
    difference = (held_out_loss(log_penalty + nudge) - held_out_loss(log_penalty - nudge)) / (2 * nudge)
    print(f"\nderivative at the end {hyper(log_penalty)[1]:.6f}, by central differences {difference:.6f}")

    w = train(log_penalty)
    right = np.mean(np.sign(np.dot(X_HELD_OUT, w)) == Y_HELD_OUT)
    print(f"right on {right:.1%} of the {len(Y_HELD_OUT)} tumours held out")
    print(hyper.stats)


if __name__ == "__main__":
    main()
