"""Examples as users give them: arrays, files, folders of images, batches, and the classes of them."""
