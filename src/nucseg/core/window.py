"""A rectangle of pixels."""

from typing import NamedTuple


class Window(NamedTuple):
    """Rows `top` to `bottom` and columns `left` to `right` of an image, half-open."""

    top: int
    left: int
    bottom: int
    right: int

    @classmethod
    def whole(cls, shape: tuple[int, ...]) -> "Window":
        """Return the window of an image of `shape`."""
        return cls(0, 0, shape[0], shape[1])

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return max(self.bottom - self.top, 0), max(self.right - self.left, 0)

    @property
    def slices(self) -> tuple[slice, slice]:
        """The window as an index of an array."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def grown(self, margin: int, shape: tuple[int, ...]) -> "Window":
        """Add a margin on all sides, as far as an image of `shape` has pixels."""
        return Window(
            max(self.top - margin, 0),
            max(self.left - margin, 0),
            min(self.bottom + margin, shape[0]),
            min(self.right + margin, shape[1]),
        )

    def within(self, other: "Window") -> "Window":
        """Return the same pixels in the frame of `other`."""
        return Window(self.top - other.top, self.left - other.left, self.bottom - other.top, self.right - other.left)

    def common(self, other: "Window") -> "Window":
        """Return the pixels of both; a window without pixels if there are none."""
        return Window(
            max(self.top, other.top),
            max(self.left, other.left),
            min(self.bottom, other.bottom),
            min(self.right, other.right),
        )

    def __bool__(self) -> bool:
        return self.bottom > self.top and self.right > self.left
