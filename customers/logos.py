"""A seller's logo as a document prints it: the picture itself, in a size that fits the head of the page."""

import base64
from dataclasses import dataclass
from decimal import Decimal
from io import BytesIO
from typing import Final

from django.core.files.storage import default_storage
from PIL import Image

WIDEST: Final = 60
HIGHEST: Final = 16


@dataclass(frozen=True, slots=True)
class Logo:
    """The picture as a data URI, and its size in millimetres."""

    src: str
    width: Decimal
    height: Decimal


def logo_of(name: str) -> Logo | None:
    """The stored picture of that name; None where there is none, or the file is lost."""
    if not name or not default_storage.exists(name):
        return None
    with default_storage.open(name) as file:
        content = file.read()
    picture = Image.open(BytesIO(content))
    width, height = picture.size
    scale = min(Decimal(WIDEST) / width, Decimal(HIGHEST) / height)
    mime = "image/png" if picture.format == "PNG" else "image/jpeg"
    return Logo(
        src=f"data:{mime};base64,{base64.b64encode(content).decode()}",
        width=round(width * scale, 2),
        height=round(height * scale, 2),
    )
