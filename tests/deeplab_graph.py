"""A graph with the names and operations of the published DeepLabs, which knows two classes by their colours."""

import tensorflow as tf


def graph_bytes(build=None):
    """Write a graph that calls a pixel a person where red is the largest colour, and a tv elsewhere."""
    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.uint8, (1, None, None, 3), name="ImageTensor")
        if build:
            build(image)
        else:
            resized = tf.compat.v1.image.resize_bilinear(tf.cast(image, tf.float32), tf.shape(image)[1:3])
            person = tf.equal(tf.argmax(resized, -1), 0)
            classes = tf.where(person, 15 * tf.ones_like(person, tf.int64), 20 * tf.ones_like(person, tf.int64))
            tf.identity(classes, name="SemanticPredictions")
    return graph.as_graph_def().SerializeToString()
