"""Errors that the pool data API raises beside DRF's own; settings say how they are answered."""

from __future__ import annotations

from rest_framework import status
from rest_framework.exceptions import APIException


class Conflict(APIException):
    """What is asked contradicts what is there: nothing is wrong with the request as such."""

    status_code = status.HTTP_409_CONFLICT
    default_detail = "This contradicts what is there."
    default_code = "conflict"
