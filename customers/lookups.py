"""`among`: as `in`, for many integers: one array travels instead of a parameter each."""

from typing import Any

from django.db.models import Field, ForeignKey, Lookup


@Field.register_lookup
@ForeignKey.register_lookup
class Among(Lookup):
    """`column = ANY(array)`: hundreds of keys cost no more to prepare than one. Keys are integers."""

    lookup_name = "among"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        """The SQL, whose only parameter is the array as text."""
        lhs, params = self.process_lhs(compiler, connection)
        return f"{lhs} = ANY(%s)", (*params, "{" + ",".join(str(int(each)) for each in self.rhs) + "}")
