"""The rules of FOCUS 1.2 for columns, as far as rows of one provider's usage can break them.

After the specification's columns/*.md and attributes/*.md, version 1.2 (CC-BY-4.0): which columns must be there, what may be null,
types and formats, values from closed lists, and what binds columns to each other.
"""
import csv
import datetime
import io
import json
import math
import re

# Column: (feature level, nullable, type)
COLUMNS = {
    "AvailabilityZone": ("recommended", True, "string"),
    "BilledCost": ("mandatory", False, "decimal"),
    "BillingAccountId": ("mandatory", False, "string"),
    "BillingAccountName": ("mandatory", True, "string"),
    "BillingAccountType": ("conditional", False, "string"),
    "BillingCurrency": ("mandatory", False, "currency"),
    "BillingPeriodEnd": ("mandatory", False, "time"),
    "BillingPeriodStart": ("mandatory", False, "time"),
    "CapacityReservationId": ("conditional", True, "string"),
    "CapacityReservationStatus": ("conditional", True, {"Used", "Unused"}),
    "ChargeCategory": ("mandatory", False, {"Usage", "Purchase", "Tax", "Credit", "Adjustment"}),
    "ChargeClass": ("mandatory", True, {"Correction"}),
    "ChargeDescription": ("mandatory", True, "string"),
    "ChargeFrequency": ("recommended", False, {"One-Time", "Recurring", "Usage-Based"}),
    "ChargePeriodEnd": ("mandatory", False, "time"),
    "ChargePeriodStart": ("mandatory", False, "time"),
    "CommitmentDiscountCategory": ("conditional", True, {"Spend", "Usage"}),
    "CommitmentDiscountId": ("conditional", True, "string"),
    "CommitmentDiscountName": ("conditional", True, "string"),
    "CommitmentDiscountQuantity": ("conditional", True, "decimal"),
    "CommitmentDiscountStatus": ("conditional", True, {"Used", "Unused"}),
    "CommitmentDiscountType": ("conditional", True, "string"),
    "CommitmentDiscountUnit": ("conditional", True, "unit"),
    "ConsumedQuantity": ("conditional", True, "decimal"),
    "ConsumedUnit": ("conditional", True, "unit"),
    "ContractedCost": ("mandatory", False, "decimal"),
    "ContractedUnitPrice": ("conditional", True, "price"),
    "EffectiveCost": ("mandatory", False, "decimal"),
    "InvoiceId": ("recommended", True, "string"),
    "InvoiceIssuerName": ("mandatory", False, "string"),
    "ListCost": ("mandatory", False, "decimal"),
    "ListUnitPrice": ("conditional", True, "price"),
    "PricingCategory": ("conditional", True, {"Standard", "Dynamic", "Committed", "Other"}),
    "PricingCurrency": ("conditional", True, "currency"),
    "PricingCurrencyContractedUnitPrice": ("conditional", True, "price"),
    "PricingCurrencyEffectiveCost": ("conditional", True, "decimal"),
    "PricingCurrencyListUnitPrice": ("conditional", True, "price"),
    "PricingQuantity": ("mandatory", True, "decimal"),
    "PricingUnit": ("mandatory", True, "unit"),
    "ProviderName": ("mandatory", False, "string"),
    "PublisherName": ("mandatory", False, "string"),
    "RegionId": ("conditional", True, "string"),
    "RegionName": ("conditional", True, "string"),
    "ResourceId": ("conditional", True, "string"),
    "ResourceName": ("conditional", True, "string"),
    "ResourceType": ("conditional", True, "string"),
    "ServiceCategory": ("mandatory", False, "string"),
    "ServiceName": ("mandatory", False, "string"),
    "ServiceSubcategory": ("recommended", False, "string"),
    "SkuId": ("conditional", True, "string"),
    "SkuMeter": ("conditional", True, "string"),
    "SkuPriceDetails": ("conditional", True, "keys"),
    "SkuPriceId": ("conditional", True, "string"),
    "SubAccountId": ("conditional", True, "string"),
    "SubAccountName": ("conditional", True, "string"),
    "SubAccountType": ("conditional", True, "string"),
    "Tags": ("conditional", True, "keys"),
}
# Each subcategory's only parent; "Other (X)" is one of every X.
SERVICES = {
    "AI and Machine Learning": ["AI Platforms", "Bots", "Generative AI", "Machine Learning", "Natural Language Processing"],
    "Analytics": ["Analytics Platforms", "Business Intelligence", "Data Processing", "Search", "Streaming Analytics"],
    "Business Applications": ["Productivity and Collaboration"],
    "Compute": ["Containers", "End User Computing", "Quantum Compute", "Serverless Compute", "Virtual Machines"],
    "Databases": ["Caching", "Data Warehouses", "Ledger Databases", "NoSQL Databases", "Relational Databases", "Time Series Databases"],
    "Developer Tools": ["Developer Platforms", "Continuous Integration and Deployment", "Development Environments",
                        "Source Code Management", "Quality Assurance"],
    "Identity": ["Identity and Access Management"],
    "Integration": ["API Management", "Messaging", "Workflow Orchestration"],
    "Internet of Things": ["IoT Analytics", "IoT Platforms"],
    "Management and Governance": ["Architecture", "Compliance", "Cost Management", "Data Governance", "Disaster Recovery",
                                  "Endpoint Management", "Observability", "Support"],
    "Media": ["Content Creation", "Gaming", "Media Streaming", "Mixed Reality"],
    "Migration": ["Data Migration", "Resource Migration"],
    "Mobile": [],
    "Multicloud": ["Multicloud Integration"],
    "Networking": ["Application Networking", "Content Delivery", "Network Connectivity", "Network Infrastructure", "Network Routing",
                   "Network Security"],
    "Security": ["Secret Management", "Security Posture Management", "Threat Detection and Response"],
    "Storage": ["Backup Storage", "Block Storage", "File Storage", "Object Storage", "Storage Platforms"],
    "Web": ["Application Platforms"],
    "Other": [],
}
# A null first column makes the second null, and a value a value.
TOGETHER = [("ConsumedQuantity", "ConsumedUnit"), ("PricingQuantity", "PricingUnit"), ("RegionId", "RegionName"),
            ("ResourceId", "ResourceType"), ("SubAccountId", "SubAccountName"), ("SubAccountId", "SubAccountType"),
            ("BillingAccountId", "BillingAccountType")]
# Not null of usage that is no correction.
OF_USAGE = ["ConsumedQuantity", "PricingQuantity", "PricingCategory", "ListUnitPrice", "ContractedUnitPrice", "SkuId", "SkuPriceId"]

NUMBER = re.compile(r"-?\d+(\.\d+)?(E-?\d+)?")
TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
UNIT = re.compile(r"(\d+ )?[A-Z][A-Za-z]*(-(Years|Months|Days|Hours|Minutes|Seconds)|/(\d+ )?(Years?|Months?|Days?|Hours?|Minutes?|Seconds?))?")


def _type_problem(kind, text: str) -> str | None:
    if isinstance(kind, set):
        return None if text in kind else f"is none of {sorted(kind)}"
    if kind in ("decimal", "price"):
        if not NUMBER.fullmatch(text):
            return "is no number"
        return "is negative" if kind == "price" and float(text) < 0 else None
    if kind == "time":
        if not TIME.fullmatch(text):
            return "is no time in UTC"
        try:
            _time(text)
        except ValueError:
            return "is no time that there is"
    if kind == "currency":
        return None if re.fullmatch("[A-Z]{3}", text) else "is no currency's code"
    if kind == "unit":
        return None if UNIT.fullmatch(text) else "is no unit"
    if kind == "keys":
        try:
            pairs = json.loads(text, object_pairs_hook=lambda p: p)
        except ValueError:
            return "is no JSON"
        if not text.startswith("{") or any(isinstance(value, list) for _, value in pairs):
            return "is no flat object"
        return None if len({key for key, _ in pairs}) == len(pairs) else "has a key twice"
    return None if text.strip() else "is blank"


def _time(text: str) -> datetime.datetime:
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")


def _row_problems(row: dict) -> list[str]:
    problems = []
    for name, text in row.items():
        if name.startswith("x_"):
            continue
        level, nullable, kind = COLUMNS[name]
        if not text:
            if not nullable:
                problems.append(f"{name} is null")
        elif problem := _type_problem(kind, text):
            problems.append(f"{name} {text!r} {problem}")
    if problems:
        return problems
    has = lambda name: bool(row.get(name))
    number = lambda name: float(row[name])
    for first, second in TOGETHER:
        if first in row and second in row and has(first) != has(second):
            problems.append(f"{second} is {'null' if has(first) else 'not null'} where {first} is not so")
    usage = row["ChargeCategory"] == "Usage" and not row["ChargeClass"]
    for name in OF_USAGE:
        if usage and name in row and not has(name):
            problems.append(f"{name} is null of usage")
    for price, cost in [("ContractedUnitPrice", "ContractedCost"), ("ListUnitPrice", "ListCost")]:
        if has(price) and has("PricingQuantity"):
            if not math.isclose(number(price) * number("PricingQuantity"), number(cost), rel_tol=1e-9, abs_tol=1e-9):
                problems.append(f"{price} times PricingQuantity is not {cost}")
        elif row[cost] != row["BilledCost"] and not has(price):
            problems.append(f"{cost} is not BilledCost, and {price} is null")
    begin, end = _time(row["ChargePeriodStart"]), _time(row["ChargePeriodEnd"])
    month, next_month = _time(row["BillingPeriodStart"]), _time(row["BillingPeriodEnd"])
    if begin >= end:
        problems.append("the charge's period is empty")
    if not month <= begin < next_month or end > next_month:
        problems.append("the charge's period is not in its billing period")
    if (month.day, month.time()) != (1, datetime.time()) or next_month != (month + datetime.timedelta(days=31)).replace(day=1):
        problems.append("the billing period is no calendar month")
    if row["ServiceCategory"] not in SERVICES:
        problems.append(f"ServiceCategory {row['ServiceCategory']!r} is not in the list")
    elif "ServiceSubcategory" in row:
        category = row["ServiceCategory"]
        if row["ServiceSubcategory"] not in SERVICES[category] + [f"Other ({category})"]:
            problems.append(f"ServiceSubcategory {row['ServiceSubcategory']!r} is none of {category}")
    if row.get("ChargeFrequency") == "Usage-Based" and row["ChargeCategory"] == "Purchase":
        problems.append("a purchase is not usage-based")
    if has("ResourceId") and row.get("ResourceName") == row["ResourceId"]:
        problems.append("ResourceName repeats ResourceId")
    return problems


def problems(text: str) -> list[str]:
    """What is wrong with a data set, as sentences; none: nothing."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header, *rows = list(reader)
    found = [f"{name} is missing" for name, (level, _, _) in COLUMNS.items() if level == "mandatory" and name not in header]
    found += [f"{name} is no column of FOCUS 1.2" for name in header if not name.startswith("x_") and name not in COLUMNS]
    found += [f"{name} is no name for a custom column" for name in header
              if name.startswith("x_") and not re.fullmatch("x_[A-Z][A-Za-z0-9]{0,47}", name)]
    found += [f"{name} stands twice" for name in set(header) if header.count(name) > 1]
    if [name.startswith("x_") for name in header] != sorted(name.startswith("x_") for name in header):
        found.append("custom columns stand among the others")
    if found:
        return found
    parents: dict[tuple, str] = {}
    for number, cells in enumerate(rows, 2):
        if len(cells) != len(header):
            found.append(f"row {number}: {len(cells)} cells, not {len(header)}")
            continue
        row = dict(zip(header, cells))
        found += [f"row {number}: {problem}" for problem in _row_problems(row)]
        # One parent each.
        for child, parent in [("ServiceName", "ServiceCategory"), ("SkuPriceId", "SkuId")]:
            if row.get(child) and parents.setdefault((child, row[child]), row.get(parent, "")) != row.get(parent, ""):
                found.append(f"row {number}: {child} {row[child]!r} has two of {parent}")
    return found
