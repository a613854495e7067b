"""Products."""

from random import Random

from springline.sandbox.stripe.collection import Collection, Filter, Operation, equals
from springline.sandbox.stripe.collections import samples
from springline.sandbox.stripe.errors import StripeError, already_exists
from springline.sandbox.stripe.params import (
    Params,
    Parser,
    assign,
    boolean,
    choice,
    decimal,
    hash_of,
    list_of,
    metadata,
    text,
)
from springline.sandbox.stripe.texts import Object
from springline.sandbox.stripe.writes import Write

_SIDES = ("height", "length", "weight", "width")

_TAKES: dict[str, Parser] = {
    "active": boolean(),
    "description": text(),
    "images": list_of(text(unsettable=False), most=8, unsettable=True),
    "marketing_features": list_of(hash_of({"name": text(unsettable=False)}), most=15, unsettable=True),
    "metadata": metadata(),
    "name": text(unsettable=False, max_length=250),
    "package_dimensions": hash_of({side: decimal() for side in _SIDES}, needs=_SIDES, unsettable=True),
    "shippable": boolean(),
    "statement_descriptor": text(max_length=22),
    "tax_code": text(),
    "unit_label": text(max_length=12),
    "url": text(),
}


def create_product(write: Write, _: Object, params: Params) -> Object:
    """Store a new product; `params` as the create operation takes them."""
    product_id = params.pop("id", None) or write.new_id("prod_", 14)
    if product_id in write.account.tables["product"]:
        raise already_exists("product")
    product: Object = {
        "id": product_id,
        "object": "product",
        "active": True,
        "created": write.now,
        "default_price": None,
        "description": None,
        "images": [],
        "livemode": write.account.livemode,
        "marketing_features": [],
        "metadata": {},
        "name": None,
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "type": "service",
        "unit_label": None,
        "updated": write.now,
        "url": None,
    }
    _assign(product, params)
    return write.insert("product", product)


def _update(write: Write, product: Object, params: Params) -> Object:
    if params.get("default_price") is not None:
        price = write.named("price", params["default_price"], param="default_price")
        if price["product"] != product["id"]:
            raise StripeError(
                f"The price specified does not belong to the product '{product['id']}'.", param="default_price"
            )
    before = dict(product)
    _assign(product, params)
    if product != before:
        product["updated"] = write.now
    return write.replace("product", product)


def _delete(write: Write, product: Object, _: Params) -> Object:
    if not _is_unpriced(write, product):
        raise StripeError("This product cannot be deleted because it has one or more user-created prices.")
    return write.remove("product", product)


def _is_unpriced(write: Write, product: Object) -> bool:
    return not write.account.tables["price"].where(product=product["id"])


def _assign(product: Object, params: Params) -> None:
    assign(product, params)
    for name in ("images", "marketing_features"):
        product[name] = product[name] or []
    if product["package_dimensions"] is not None:
        product["package_dimensions"] = {side: float(product["package_dimensions"][side]) for side in _SIDES}


def _seed(write: Write, rng: Random) -> Object:
    name = f"{rng.choice(samples.COMPANIES)} {rng.choice(samples.TIERS)} {rng.randrange(10_000)}"
    params: Params = {
        "description": f"{name}, billed by the month",
        "metadata": samples.crm_metadata(rng),
        "name": name,
        "unit_label": "seat",
        "url": f"https://example.com/products/{rng.randrange(10**6)}",
    }
    return create_product(write, {}, params)


def _sample_update(rng: Random) -> Params:
    return {
        "description": f"{rng.choice(samples.COMPANIES)}, changed {rng.randrange(10**9)}",
        "metadata": samples.crm_metadata(rng),
    }


PRODUCT = Collection(
    name="product",
    path="products",
    id_prefix="prod_",
    id_length=14,
    event_prefix="product",
    filter_fields=("id", "active", "shippable", "type", "url"),
    filters={
        "active": equals("active", boolean()),
        "ids": Filter(parse=list_of(text(unsettable=False)), accepts=lambda wanted, fields: fields["id"] in wanted),
        "shippable": equals("shippable", boolean()),
        "type": equals("type", choice("good", "service")),
        "url": equals("url", text(unsettable=False)),
    },
    create=Operation(
        run=create_product,
        takes={**_TAKES, "id": text(unsettable=False), "type": choice("good", "service")},
        needs=("name",),
        unsupported=frozenset({"default_price_data", "tax_details"}),
    ),
    update=Operation(run=_update, takes={**_TAKES, "default_price": text()}, unsupported=frozenset({"tax_details"})),
    delete=Operation(run=_delete),
    seed=_seed,
    sample_update=_sample_update,
    may_delete=_is_unpriced,
)
