"""The verbs of experiments: start, subscribe a contract to the variant that the hash gives it, stop."""

from datetime import date, datetime
from decimal import Decimal

from django.db import IntegrityError, transaction

from billing.catalog.models import Subscription
from billing.catalog.services import subscribe
from billing.catalog.states import VersionState
from billing.lab.errors import ExperimentError
from billing.lab.models import Experiment, ExperimentAssignment
from billing.lab.shares import WHOLE, bucket, chosen
from billing.lab.states import ExperimentState
from customers.models import Contract
from customers.states import ContractState


def start_experiment(*, experiment: Experiment, now: datetime) -> Experiment:
    """Let an experiment assign contracts: from now on its plan, its first day and its variants stay as they are.

    ExperimentError names what is missing.
    """
    with transaction.atomic():
        experiment = Experiment.objects.select_for_update(of=("self",)).select_related("plan").get(pk=experiment.pk)
        if experiment.state != ExperimentState.DRAFT:
            raise ExperimentError(f"“{experiment}” is {experiment.get_state_display().lower()} already.")
        variants = list(experiment.variants.select_related("version__plan"))
        if len(variants) < 2:
            raise ExperimentError("An experiment compares at least two variants: add another one.")
        total = sum(variant.share for variant in variants)
        if total != WHOLE:
            raise ExperimentError(f"The shares add up to {total} basis points: make them {WHOLE}.")
        for variant in variants:
            if variant.version.state != VersionState.PUBLISHED:
                raise ExperimentError(f"{variant.version} of variant “{variant}” is not published: publish it first.")
            if variant.version.plan.product_id != experiment.plan.product_id:
                raise ExperimentError(f"{variant.version} of variant “{variant}” is of another product than the plan.")
        experiment.state, experiment.started_at = ExperimentState.RUNNING, now
        try:
            with transaction.atomic():
                experiment.save(update_fields=["state", "started_at"])
        except IntegrityError as error:
            raise ExperimentError(
                f"Another experiment with {experiment.plan} is running: stop that one first."
            ) from error
    return experiment


def stop_experiment(*, experiment: Experiment, reason: str, now: datetime) -> Experiment:
    """Assign no more contracts; those that are assigned keep their subscriptions."""
    with transaction.atomic():
        experiment = Experiment.objects.select_for_update().get(pk=experiment.pk)
        if experiment.state != ExperimentState.RUNNING:
            raise ExperimentError(
                f"“{experiment}” is {experiment.get_state_display().lower()}, so it cannot be stopped."
            )
        experiment.state, experiment.stopped_at, experiment.stop_reason = ExperimentState.STOPPED, now, reason
        experiment.save(update_fields=["state", "stopped_at", "stop_reason"])
    return experiment


def subscribe_by_experiment(
    *, contract: Contract, experiment: Experiment, code: str, start: date, now: datetime, end: date | None = None,
    quantity: Decimal = Decimal(1),
) -> ExperimentAssignment:  # fmt: skip
    """Subscribe a new contract to the plan version of its variant, and record which that is.

    The variant follows from the contract's number and the experiment's code alone. ExperimentError when the contract
    is not eligible, CatalogError where `subscribe` refuses; nothing is kept then.
    """
    with transaction.atomic():
        experiment = Experiment.objects.select_for_update(of=("self",)).select_related("plan").get(pk=experiment.pk)
        _check(contract, experiment, start)
        variants = list(experiment.variants.select_related("version__plan"))
        place = bucket(experiment.code, contract.number)
        variant = variants[chosen(place, [each.share for each in variants])]
        subscription = subscribe(
            contract=contract, version=variant.version, code=code, start=start, end=end, quantity=quantity, now=now
        )
        return ExperimentAssignment.objects.create(
            experiment=experiment, variant=variant, contract=contract, subscription=subscription, bucket=place,
            assigned_at=now,
        )  # fmt: skip


def _check(contract: Contract, experiment: Experiment, start: date) -> None:
    if experiment.state != ExperimentState.RUNNING:
        raise ExperimentError(
            f"“{experiment}” is {experiment.get_state_display().lower()}: subscribe {contract} to a plan version"
            " instead."
        )
    if contract.state != ContractState.ACTIVE:
        raise ExperimentError(
            f"Activate contract {contract} first: its number decides the variant, and a draft's may still change."
        )
    if start < experiment.starts_on:
        raise ExperimentError(
            f"“{experiment}” takes subscriptions that start on {experiment.starts_on} or later, not on {start}."
        )
    if ExperimentAssignment.objects.filter(experiment=experiment, contract=contract).exists():
        raise ExperimentError(f"Contract {contract} is in “{experiment}” already.")
    if Subscription.objects.filter(contract=contract, product=experiment.plan.product_id).exists():
        raise ExperimentError(
            f"Contract {contract} has a subscription to {experiment.plan.product} already, and is not new to it:"
            " change that one instead."
        )
