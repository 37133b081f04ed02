"""The forty customers of the demo: who they are, what they bought, how large they are, and what they changed.

Every name, address and tax number is invented.
"""

from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True)
class Person:
    """A customer: `begins` is (month of the story, day) of its contract; `weight` its share of the usage."""

    code: str
    legal_name: str
    address: str
    postal_code: str
    city: str
    country: str
    tax_id: str
    timezone: str
    locale: str
    currency: str
    plan: str
    seats: int
    begins: tuple[int, int]
    weight: float
    vision: bool = False
    anchor_day: int | None = 1
    cadence: str = "P1M"
    net_days: int = 30
    region: str = ""
    extra_subjects: tuple[str, ...] = field(default=())

    @cached_property
    def number(self) -> str:
        """The number of its contract."""
        return f"C-{self.code}"

    @cached_property
    def subjects(self) -> tuple[str, ...]:
        """How its events name it."""
        return (f"org_{self.code}", *self.extra_subjects)

    @cached_property
    def domain(self) -> str:
        """Its mail domain, reserved for examples."""
        return f"{self.code}.example"


def _usd(*fields: object, **more: object) -> Person:
    return _person("USD", fields, more)


def _eur(*fields: object, **more: object) -> Person:
    return _person("EUR", fields, more)


def _jpy(*fields: object, **more: object) -> Person:
    return _person("JPY", fields, {"timezone": "Asia/Tokyo", "locale": "ja-JP", "country": "JP"} | more)


def _person(currency: str, fields: tuple[object, ...], more: dict[str, object]) -> Person:
    names = ("code", "legal_name", "address", "postal_code", "city", "tax_id", "plan", "seats", "begins", "weight")
    return Person(currency=currency, **dict(zip(names, fields, strict=True)), **more)  # type: ignore[arg-type]


_US = {"country": "US", "locale": "en-US"}
_EAST = _US | {"timezone": "America/New_York"}
_CENTRAL = _US | {"timezone": "America/Chicago"}
_WEST = _US | {"timezone": "America/Los_Angeles"}

# fmt: off
PEOPLE: list[Person] = [
    _usd("brightwater", "Brightwater Analytics, Inc.", "88 Causeway Street", "02114", "Boston", "84-2917305",
         "enterprise", 60, (0, 1), 100, **_EAST, region="MA", vision=True, extra_subjects=("org_brightwater-labs",)),
    _jpy("aoba", "株式会社あおば言語研究所", "青葉区中央3-4-1", "980-0021", "仙台市", "T7370001049216",
         "enterprise", 30, (0, 1), 62),
    _eur("nordlicht", "Nordlicht Versicherungs-KI GmbH", "Am Sandtorkai 41", "20457", "Hamburg", "DE318402776",
         "enterprise", 40, (0, 1), 55, country="DE", timezone="Europe/Berlin", locale="de-DE", vision=True),
    _usd("copperline", "Copperline Health, Inc.", "350 West Hubbard Street", "60654", "Chicago", "36-4820917",
         "enterprise", 45, (0, 1), 48, **_CENTRAL, region="IL", net_days=45),
    _eur("zuraw", "Żuraw Systemy Sp. z o.o.", "ul. Długie Pobrzeże 24", "80-888", "Gdańsk", "PL5833412876",
         "scale", 14, (0, 1), 30, country="PL", timezone="Europe/Warsaw", locale="pl-PL"),
    _usd("fernhill", "Fernhill Robotics, Inc.", "1201 Illinois Street", "94107", "San Francisco", "94-3381740",
         "build", 6, (0, 1), 27, **_WEST, region="CA", vision=True),
    _usd("saltmarsh", "Saltmarsh Media, Inc.", "233 Spring Street", "10013", "New York", "13-4127790",
         "scale", 18, (0, 1), 25, **_EAST, region="NY"),
    _eur("lumiere", "Atelier Lumière Numérique SAS", "14 quai Rambaud", "69002", "Lyon", "FR61842915370",
         "scale", 11, (0, 1), 21, country="FR", timezone="Europe/Paris", locale="fr-FR", vision=True),
    _jpy("minato", "みなと翻訳サービス株式会社", "西区みなとみらい2-2-1", "220-8116", "横浜市", "T3020001081447",
         "scale", 12, (0, 1), 19),
    _usd("tidepool", "Tidepool Learning, Inc.", "411 1st Avenue South", "98104", "Seattle", "91-2204518",
         "build", 5, (0, 1), 18, **_WEST, region="WA"),
    _eur("aigaio", "Αιγαίο Δεδομένα Α.Ε.", "Λεωφόρος Συγγρού 112", "117 41", "Αθήνα", "EL099384715",
         "scale", 9, (0, 1), 17, country="GR", timezone="Europe/Athens", locale="el-GR"),
    _usd("redkettle", "Red Kettle Commerce, Inc.", "600 Washington Avenue North", "55401", "Minneapolis", "41-1973624",
         "scale", 10, (0, 1), 15, **_CENTRAL, region="MN", anchor_day=15),
    _usd("erable", "Érable Numérique Inc.", "1450, rue City Councillors", "H3A 2E6", "Montréal", "81472 9035 RT0001",
         "build", 4, (0, 1), 13, country="CA", timezone="America/Toronto", locale="fr-CA", region="QC"),
    _eur("kyiv-khmary", "ТОВ «Київські хмарні рішення»", "вул. Верхній Вал 18", "04071", "Київ", "UA428815026593",
         "scale", 8, (0, 1), 12, country="UA", timezone="Europe/Kyiv", locale="uk-UA"),
    _jpy("hokuto", "北斗ロボティクス株式会社", "中央区北三条西4-1", "060-0003", "札幌市", "T5430001067382",
         "build", 4, (0, 1), 11, vision=True),
    _usd("windrose", "Windrose Insurance Services Corp.", "100 Pearl Street", "06103", "Hartford", "06-1748832",
         "enterprise", 25, (0, 1), 10, **_EAST, region="CT", cadence="P3M", net_days=60),
    _eur("galerna", "Galerna Datos S.L.", "Calle Ledesma 10", "48001", "Bilbao", "ESB95738214",
         "build", 4, (0, 1), 9, country="ES", timezone="Europe/Madrid", locale="es-ES"),
    _eur("parola", "Officina Parola S.r.l.", "Via Lagrange 20", "10123", "Torino", "IT11824390016",
         "build", 3, (0, 1), 8.5, country="IT", timezone="Europe/Rome", locale="it-IT"),
    _usd("kestrelpay", "Kestrel Pay Pte. Ltd.", "71 Robinson Road", "068895", "Singapore", "201934417K",
         "scale", 7, (1, 1), 8, country="SG", timezone="Asia/Singapore", locale="en-SG"),
    _eur("polder", "Polder Taalmodellen B.V.", "Maliebaan 50", "3581 CS", "Utrecht", "NL861204957B01",
         "scale", 7, (1, 11), 7.5, country="NL", timezone="Europe/Amsterdam", locale="nl-NL"),
    _usd("paleharbor", "Pale Harbor Logistics, Inc.", "1395 Brickell Avenue", "33131", "Miami", "65-0938271",
         "build", 3, (1, 17), 7, **_EAST, region="FL", anchor_day=None),
    _jpy("kamome", "株式会社かもめ物流", "北区梅田2-5-25", "530-0001", "大阪市", "T8120001093365",
         "scale", 6, (2, 1), 6.5),
    _eur("gruenwald", "Grünwald & Söhne Maschinenbau GmbH", "Heilbronner Straße 86", "70191", "Stuttgart",
         "DE273915508", "build", 3, (2, 6), 6, country="DE", timezone="Europe/Berlin", locale="de-DE"),
    _usd("oxbow", "Oxbow Freight Systems, Inc.", "115 SW Ash Street", "97204", "Portland", "93-1426687",
         "build", 3, (2, 21), 5.5, **_WEST, region="OR"),
    _eur("dunav", "Дунав Софт ЕООД", "бул. Витоша 89", "1463", "София", "BG204871936",
         "build", 2, (3, 1), 5, country="BG", timezone="Europe/Sofia", locale="bg-BG"),
    _usd("nimbusvale", "Nimbus Vale Pty Ltd", "6 Hunter Street", "2000", "Sydney", "51 624 893 107",
         "build", 3, (3, 9), 4.7, country="AU", timezone="Australia/Sydney", locale="en-AU", region="NSW"),
    _eur("fjordbyte", "Fjordbyte AS", "Strandkaien 2", "5013", "Bergen", "NO927 415 883 MVA",
         "scale", 5, (3, 31), 4.3, country="NO", timezone="Europe/Oslo", locale="nb-NO", anchor_day=31),
    _usd("juniperrow", "Juniper Row Legal Technologies, Inc.", "98 San Jacinto Boulevard", "78701", "Austin",
         "74-3015528", "scale", 5, (4, 1), 4, **_CENTRAL, region="TX"),
    _eur("lodzka", "Łódzka Fabryka Danych S.A.", "ul. Piotrkowska 217", "90-451", "Łódź", "PL7252290431",
         "build", 2, (4, 13), 3.7, country="PL", timezone="Europe/Warsaw", locale="pl-PL"),
    _usd("ceiba", "Ceiba Dados Ltda.", "Rua Funchal 418", "04551-060", "São Paulo", "34.918.207/0001-64",
         "build", 2, (5, 1), 3.4, country="BR", timezone="America/Sao_Paulo", locale="pt-BR", region="SP"),
    _jpy("sumire", "合同会社すみれゲームズ", "博多区博多駅前1-4-4", "812-0011", "福岡市", "T2290003008514",
         "build", 2, (5, 20), 3.1),
    _eur("vlnka", "Vlnka Softvér s.r.o.", "Mlynské nivy 16", "821 09", "Bratislava", "SK2121738405",
         "build", 2, (6, 1), 2.8, country="SK", timezone="Europe/Bratislava", locale="sk-SK"),
    _usd("indigoloom", "Indigo Loom Technologies Pvt. Ltd.", "27 Residency Road", "560025", "Bengaluru",
         "29AAFCI7714Q1ZB", "build", 3, (6, 15), 2.6, country="IN", timezone="Asia/Kolkata", locale="en-IN"),
    _usd("marrowstreet", "Marrow Street Games, LLC", "2401 East 6th Street", "90023", "Los Angeles", "95-4872016",
         "build", 2, (7, 1), 2.4, **_WEST, region="CA"),
    _eur("karnapuu", "Kärnapuu OÜ", "Ülikooli 8", "51003", "Tartu", "EE102483917",
         "build", 1, (7, 25), 2.2, country="EE", timezone="Europe/Tallinn", locale="et-EE"),
    _jpy("sakura-shindan", "さくら診断テクノロジー株式会社", "中村区名駅4-7-1", "450-0002", "名古屋市",
         "T9180001124703", "build", 2, (8, 1), 2.0, vision=True),
    _eur("liffey", "Liffey Voice Ltd", "32 Sir John Rogerson's Quay", "D02 HH27", "Dublin", "IE3729184LH",
         "scale", 9, (8, 12), 1.9, country="IE", timezone="Europe/Dublin", locale="en-IE"),
    _usd("quarryfinch", "Quarry & Finch LLC", "1624 Market Street", "80202", "Denver", "84-4193302",
         "build", 1, (9, 1), 1.7, **_US, timezone="America/Denver", region="CO"),
    _usd("baobab", "Baobab Cloud (Pty) Ltd", "44 Long Street", "8001", "Cape Town", "4870294316",
         "build", 1, (9, 23), 1.5, country="ZA", timezone="Africa/Johannesburg", locale="en-ZA"),
    _eur("thessaliki", "Θεσσαλική Ρομποτική Ι.Κ.Ε.", "Κύπρου 46", "412 22", "Λάρισα", "EL801274963",
         "build", 2, (10, 5), 1.3, country="GR", timezone="Europe/Athens", locale="el-GR"),
]
# fmt: on


@dataclass(frozen=True)
class Change:
    """A dated change of a customer's inference subscription: effective on a day of a month of the story.

    `known` days later it is recorded: what was billed for the days in between is corrected by the next run.
    """

    code: str
    month: int
    day: int
    plan: str | None = None
    seats: int | None = None
    known: int = 0


CHANGES: list[Change] = [
    Change("saltmarsh", 2, 10, seats=22),
    Change("fernhill", 3, 12, plan="scale"),
    Change("zuraw", 5, 18, seats=19),
    Change("redkettle", 6, 22, seats=13, known=14),
    Change("kamome", 7, 9, plan="enterprise", seats=12),
    Change("kestrelpay", 8, 16, seats=5),
    Change("lumiere", 9, 14, seats=16),
    Change("tidepool", 11, 11, plan="scale", seats=8),
    Change("nordlicht", 11, 19, seats=48),
    Change("liffey", 11, 23, seats=6),
]
