// Every text of the page, in French and in English, in this order.

export const LANGUAGES = ["fr", "en"];

const TEXTS = {
  title: ["Énergie en France", "Energy in France"],
  skip: ["Aller au contenu", "Skip to the content"],
  language: ["Langue", "Language"],
  fr: ["Français", "Français"],
  en: ["English", "English"],
  ownTab: ["Ouvrir dans un onglet", "Open in a tab"],
  contents: ["Sections de la page", "Sections of the page"],
  loading: ["Chargement…", "Loading…"],
  colon: ["\u00a0: ", ": "],
  between: ["\u00a0; ", "; "],
  noData: ["Aucune donnée", "No data"],
  noDataFor: ["Aucune donnée sur cette période.", "No data for this period."],

  // Periods
  period: ["Période", "Period"],
  day: ["Jour", "Day"],
  last7: ["7 derniers jours", "Last 7 days"],
  last30: ["30 derniers jours", "Last 30 days"],
  last365: ["365 derniers jours", "Last 365 days"],
  month: ["Mois", "Month"],
  year: ["Année", "Year"],
  season: ["Saison", "Season"],
  range: ["Dates libres", "Free range"],
  from: ["Du", "From"],
  to: ["au", "to"],
  earlier: ["Période précédente", "Earlier period"],
  later: ["Période suivante", "Later period"],
  winter: ["Hiver", "Winter"],
  spring: ["Printemps", "Spring"],
  summer: ["Été", "Summer"],
  autumn: ["Automne", "Autumn"],
  badRange: ["La fin précède le début.", "The end comes before the start."],

  // Banners
  sampleBanner: [
    "Données d’exemple : produites par un programme, vraisemblables mais pas mesurées. N’en tirez aucune conclusion.",
    "Sample data: made by a program, plausible but not measured. Draw no conclusions from them.",
  ],
  emptyBanner: [
    "Aucune donnée sur cette période. Les données vont du {first} au {last}.",
    "There are no data for this period. Data go from {first} to {last}.",
  ],
  nothingBanner: [
    "L’entrepôt n’a encore aucune donnée : le premier passage des DAG les y mettra.",
    "The warehouse has no data yet: the first runs of the DAGs will put them there.",
  ],
  partialBanner: [
    "Période partielle : {what}. Les chiffres ne portent que sur ce qui a été mesuré.",
    "Partial period: {what}. Figures are of what was measured alone.",
  ],
  hatchedDays: [" Les jours incomplets sont hachurés.", " Incomplete days are hatched."],
  electricityDays: ["électricité mesurée en entier {n} {n|jour|jours} sur {all}", "electricity measured to its end on {n} of {all} days"],
  gasDays: ["gaz {n} {n|jour|jours} sur {all}", "gas on {n} of {all} days"],
  temperatureDays: ["température {n} {n|jour|jours} sur {all}", "temperature on {n} of {all} days"],
  staleBanner: [
    "Données en retard : {which}. Elles devraient être plus récentes.",
    "Late data: {which}. They should be more recent.",
  ],
  staleItem: ["{name} (jusqu’au {until})", "{name} (until {until})"],
  errorBanner: ["Les données n’ont pas pu être lues : {why}", "The data could not be read: {why}"],
  errorLogin: ["votre session est terminée, reconnectez-vous.", "your session has ended, log in again."],
  errorNetwork: ["le serveur ne répond pas.", "the server does not answer."],
  errorTime: ["l’entrepôt n’a pas répondu à temps.", "the warehouse did not answer in time."],
  errorVersion: ["cette page est plus ancienne que les données, rechargez-la.", "this page is older than the data, reload it."],
  errorPage: ["la page n’a pas pu les montrer.", "the page could not show them."],
  errorStatus: ["réponse {status} du serveur.", "the server answered {status}."],
  retry: ["Réessayer", "Try again"],

  // Tiles
  keyFigures: ["Chiffres clés", "Key figures"],
  consumption: ["Consommation", "Consumption"],
  production: ["Production", "Production"],
  co2: ["CO₂ de la production", "CO₂ of production"],
  netExchange: ["Solde des échanges", "Net exchange"],
  temperature: ["Température moyenne", "Mean temperature"],
  fullness: ["Remplissage des stockages de gaz", "Gas storage fullness"],
  netExchangeNote: ["physique ; négatif quand la France exporte", "physical; negative where France exports"],
  co2Note: ["moyenne pondérée par la production", "mean weighted by production"],
  fullnessNote: ["dernier jour connu de la période", "last known day of the period"],
  yearBefore: ["{change} par rapport à l’an passé ({value})", "{change} on a year before ({value})"],
  yearBeforeOf: ["{change} par rapport à l’an passé, sur {n} jours comparables", "{change} on a year before, over {n} comparable days"],
  noYearBefore: ["pas de valeur un an avant", "no figure a year before"],
  partialTile: ["{n} {n|jour|jours} sur {all}", "{n} of {all} days"],
  points: ["pt", "pt"],

  // Freshness
  freshness: ["Fraîcheur des données", "Freshness of the data"],
  until: ["jusqu’au {until}", "until {until}"],
  loadedAt: ["lu le {at}", "read on {at}"],
  late: ["en retard", "late"],
  "eco2mix-national-tr": ["Électricité, temps réel", "Electricity, real time"],
  "eco2mix-national-cons-def": ["Électricité, consolidée", "Electricity, consolidated"],
  "stock-quotidien-stockages-gaz": ["Stockages de gaz", "Gas storage"],
  "temperature-quotidienne-regionale": ["Températures", "Temperatures"],
  neverLoaded: ["jamais lu", "never read"],

  // Sources and places
  nuclear: ["Nucléaire", "Nuclear"],
  hydro: ["Hydraulique", "Hydro"],
  wind: ["Éolien", "Wind"],
  solar: ["Solaire", "Solar"],
  bioenergy: ["Bioénergies", "Bioenergy"],
  gas: ["Gaz", "Gas"],
  coal: ["Charbon", "Coal"],
  oil: ["Fioul", "Oil"],
  england: ["Angleterre", "England"],
  spain: ["Espagne", "Spain"],
  italy: ["Italie", "Italy"],
  switzerland: ["Suisse", "Switzerland"],
  germany_belgium: ["Allemagne et Belgique", "Germany and Belgium"],
  all: ["Toutes", "All"],

  sourceColumn: ["Filière", "Source"],

  // Charts
  sectionMix: ["Production", "Production"],
  sectionGas: ["Gaz et température", "Gas and temperature"],
  sectionExchanges: ["Échanges aux frontières", "Exchanges at the borders"],
  sectionTemperature: ["Température et consommation", "Temperature and consumption"],
  sectionAnswers: ["Six questions", "Six questions"],
  sectionTable: ["Jour par jour", "Day by day"],

  mix: ["Production par filière", "Production by source"],
  mixHour: ["par heure", "by hour"],
  mixDay: ["par jour", "by day"],
  mixWeek: ["par semaine", "by week"],
  mixMonth: ["par mois", "by month"],
  absolute: ["Énergie", "Energy"],
  relative: ["Part en %", "Share in %"],
  shape: ["Grandeur", "Measure"],
  legend: ["Filières affichées", "Sources shown"],
  mixSummary: [
    "{total} produits ; première filière : {top} ({share}).",
    "{total} produced; the greatest source is {top} ({share}).",
  ],
  incompleteStep: ["mesure incomplète", "not fully measured"],
  absentStep: ["aucune mesure", "no measure"],
  bothAbsent: ["Ni stock ni température", "Neither stock nor temperature"],
  hatched: ["Mesure incomplète", "Not fully measured"],
  totals: ["Totaux par filière", "Totals by source"],
  topSource: ["Première filière", "Top source"],
  lowCarbon: ["Bas carbone", "Low-carbon"],
  lowCarbonNote: ["nucléaire et renouvelables", "nuclear and renewable"],
  renewable: ["Renouvelables", "Renewable"],
  renewableNote: ["hydraulique, éolien, solaire, bioénergies", "hydro, wind, solar, bioenergy"],
  totalsSummary: ["{list}.", "{list}."],

  gasTemperature: ["Stock de gaz et température", "Gas stock and temperature"],
  gasStock: ["Stock de gaz", "Gas stock"],
  onTheLeft: ["à gauche", "on the left"],
  onTheRight: ["à droite", "on the right"],
  injection: ["Injection", "Injection"],
  withdrawal: ["Soutirage", "Withdrawal"],
  campaigns: ["Campagnes : injection d’avril à octobre, soutirage de novembre à mars", "Campaigns: injection from April to October, withdrawal from November to March"],
  noGas: [
    "Ni stock ni température sur cette période : le stock est connu jusqu’au {gas}, la température jusqu’au {temperature}.",
    "Neither stock nor temperature in this period: the stock is known until {gas}, the temperature until {temperature}.",
  ],
  gasSummary: [
    "Stock de {first} le {firstDay} à {last} le {lastDay} ; température moyenne entre {low} et {high}.",
    "Stock from {first} on {firstDay} to {last} on {lastDay}; mean temperature between {low} and {high}.",
  ],

  borders: ["Échanges commerciaux par frontière", "Commercial exchanges by border"],
  import: ["Import", "Import"],
  export: ["Export", "Export"],
  balance: ["Solde", "Balance"],
  bordersSummary: ["Import de {imports}, export de {exports} : solde {balance}.", "{imports} imported, {exports} exported: balance {balance}."],
  destinations: ["Destinations des exports", "Destinations of exports"],
  shareOfExports: ["Part des exports", "Share of exports"],
  topDays: ["Jours en tête", "Days on top"],
  destinationsSummary: ["Première destination : {top}, {share} des exports, en tête {days} {days|jour|jours}.", "Main destination: {top}, {share} of exports, on top on {days} {days|day|days}."],

  categories: ["Jours par température", "Days by temperature"],
  cold: ["Froid (≤ 10 °C)", "Cold (≤ 10 °C)"],
  average: ["Moyen", "Average"],
  hot: ["Chaud (> 25 °C)", "Hot (> 25 °C)"],
  unknownCategory: ["Température absente", "No temperature"],
  days: ["Jours", "Days"],
  meanConsumption: ["Puissance moyenne consommée", "Mean power consumed"],
  categoriesSummary: ["Jours froids : {cold} ; moyens : {average} ; chauds : {hot} ; sans température : {none}.", "Cold days: {cold}; average: {average}; hot: {hot}; without a temperature: {none}."],
  scatter: ["Consommation selon la température", "Consumption against temperature"],
  meanPower: ["Puissance moyenne", "Mean power"],
  aMeasuredDay: ["Un jour mesuré en entier", "A day measured to its end"],
  lineOfAll: ["Droite de tous les hivers", "Line of all winters"],
  lineOfWinter: ["Droite de l’hiver {winter}", "Line of winter {winter}"],
  fitSummary: [
    "{slope} de plus par degré sous {base} °C (intervalle à 95 % : {interval} ; {n} jours de novembre à mars ; R² = {r2}).",
    "{slope} more for each degree below {base} °C (95% interval: {interval}; {n} days from November to March; R² = {r2}).",
  ],
  noFit: ["Trop peu de jours pour une droite.", "Too few days for a line."],

  seasonMix: ["Mix par saison", "Mix by season"],
  seasonYears: ["Moyenne des années {first} à {last}, par saison météorologique", "Mean of the years {first} to {last}, by meteorological season"],
  seasonSummary: ["{list}.", "{list}."],
  seasonItem: ["{season} : nucléaire {nuclear}, renouvelables {renewable}", "{season}: nuclear {nuclear}, renewable {renewable}"],
  noSeasons: ["Il faut une année météorologique complète.", "A complete meteorological year is needed."],
  mean: ["Moyenne", "Mean"],
  deviation: ["Écart type", "Standard deviation"],
  lowest: ["Minimum", "Minimum"],
  highest: ["Maximum", "Maximum"],

  fullnessChart: ["Échanges selon le remplissage des stockages", "Exchanges by fullness of gas storage"],
  fullnessWhole: ["Tous les jours connus, du stockage le plus vide au plus plein", "All known days, from the emptiest storage to the fullest"],
  method: ["Méthode", "Method"],
  raw: ["Brut", "Raw"],
  deseasonalised: ["Hors saison", "Beyond the season"],
  groups: ["Groupes", "Groups"],
  tercile: ["3 groupes", "3 groups"],
  decile: ["10 groupes", "10 groups"],
  border: ["Frontière", "Border"],
  group: ["Groupe", "Group"],
  fullnessAxis: ["Remplissage", "Fullness"],
  anomalyAxis: ["Écart de remplissage à la saison (points)", "Fullness above the season’s (points)"],
  aDay: ["par jour", "a day"],
  fullnessSummary: [
    "Stockage le plus vide : {emptyVolume} par jour ; le plus plein : {fullVolume}.",
    "Emptiest storage: {emptyVolume} a day; fullest: {fullVolume}.",
  ],
  anomalySummary: [
    "Écart à la saison : {emptyVolume} par jour pour le stockage le plus vide, {fullVolume} pour le plus plein.",
    "Against the season’s mean: {emptyVolume} a day with the emptiest storage, {fullVolume} with the fullest.",
  ],

  links: ["Liens hors saison et leur incertitude", "Links beyond the season and how sure they are"],
  linksAxis: ["Corrélation r, intervalle à 95 %", "Correlation r, 95% interval"],
  question: ["Question", "Question"],
  linksOf2: ["2. Gaz et température", "2. Gas and temperature"],
  linksOf3: ["3. Filières et température", "3. Sources and temperature"],
  linksOf4: ["4. Filières et stock de gaz", "4. Sources and gas stock"],
  linksOf6: ["6. Échanges et stock de gaz", "6. Exchanges and gas stock"],
  linksSummary: ["Intervalles qui excluent 0 : {clear}.", "Intervals that leave 0 out: {clear}."],
  noneClear: ["aucun", "none"],
  clearLink: ["Intervalle sans 0", "Interval without 0"],
  unclearLink: ["Intervalle avec 0", "Interval with 0"],
  interval: ["Intervalle à 95 %", "95% interval"],
  effectiveDays: ["Jours (équivalents indépendants)", "Days (worth independent ones)"],
  gas_stock_gwh: ["Stock de gaz", "Gas stock"],
  gas_flow_gwh: ["Flux vers les stockages", "Flow into storage"],
  commercial_volume_mwh: ["Volume échangé", "Volume exchanged"],
  commercial_import_mwh: ["Imports", "Imports"],
  commercial_export_mwh: ["Exports", "Exports"],
  physical_exchange_mwh: ["Solde physique", "Physical balance"],
  importFrom: ["Import : {place}", "Import: {place}"],
  exportTo: ["Export : {place}", "Export: {place}"],

  // Answers
  figures: ["Chiffres", "Figures"],
  caveat: ["À garder en tête", "Keep in mind"],
  howMade: ["Comment c’est fait", "How it is made"],
  noAnswers: ["Les réponses ne sont pas encore calculées.", "The answers have not been worked out yet."],
  methods: ["Méthodes", "Methods"],
  wholeHistory: ["Sur tout l’historique connu, quelle que soit la période choisie", "Over all the known history, whatever the period chosen"],

  methodTitle1: ["Le mix", "The mix"],
  method1: [
    "L’énergie d’un jour est la somme des puissances mesurées, chacune pendant son pas de 15 ou 30 minutes. Les parts sont celles de la somme des huit filières ; pompage, batteries et échanges sont à part. Un jour qui n’a pas été mesuré jusqu’au bout ne compte pas dans la réponse. Le CO₂ est le taux publié (émissions directes de la production française), pondéré par la production.",
    "A day’s energy is the sum of the measured powers, each for its step of 15 or 30 minutes. Shares are of the sum of the eight sources; pumping, batteries and exchanges stand apart. A day that was not measured to its end does not count in the answer. CO₂ is the published rate (direct emissions of French production), weighted by production.",
  ],
  methodTitle2: ["Stock de gaz et température", "Gas stock and temperature"],
  method2: [
    "Corrélation de Pearson entre les jours, brute puis hors saison : de chaque valeur on retire la moyenne de son jour de l’année, prise sur toutes les années et 15 jours de part et d’autre. L’intervalle à 95 % compte pour combien de jours indépendants valent ces jours, puisqu’un stock se souvient de la veille. Le stock est aussi comparé à la température moyenne des 120 jours qui précèdent. Une corrélation n’est pas une cause.",
    "Pearson’s correlation between days, raw and then beyond the season: from each figure the mean of its day of the year is taken away, over all years and 15 days to either side. The 95 % interval counts how many independent days these days are worth, since a stock remembers the day before. The stock is also held against the mean temperature of the 120 days before. A link is not a cause.",
  ],
  methodTitle3: ["Filières et température", "Sources and temperature"],
  method3: [
    "La même méthode, filière par filière : corrélation hors saison de la production d’un jour avec la température moyenne nationale, pondérée par la population des régions. Un lien est cité s’il a un sens hors saison et si |r| atteint 0,1. La thermosensibilité est la pente de la puissance moyenne sur les degrés-jours de chauffage (base 18 °C), de novembre à mars.",
    "The same method, source by source: correlation beyond the season of a day’s production with the national mean temperature, weighted by the population of the regions. A link is named where it has a direction beyond the season and |r| is at least 0.1. Thermosensitivity is the slope of mean power on heating degree days (base 18 °C), from November to March.",
  ],
  methodTitle4: ["Filières et stock de gaz", "Sources and gas stock"],
  method4: [
    "La même méthode, avec le remplissage des stockages (stock rapporté à la capacité du jour) à la place de la température. Le stock national n’existe que les jours où chaque point de stockage attendu est publié.",
    "The same method, with the fullness of storage (stock over the capacity of that day) in place of the temperature. There is a national stock only on days when every expected storage point was published.",
  ],
  methodTitle5: ["Le mix des saisons", "The mix of seasons"],
  method5: [
    "Moyenne, écart type et bornes des parts de chaque filière par saison météorologique, sur les années (de décembre à novembre) dont les quatre saisons sont mesurées à 99,9 % au moins : les mêmes années pour les quatre saisons. Une part change avec les saisons si ses hivers et ses étés ne se recouvrent jamais.",
    "Mean, standard deviation and bounds of each source’s share by meteorological season, over the years (December to November) whose four seasons were measured to 99.9 % at least: the same years for all four. A share changes with the seasons where its winters and its summers never overlap.",
  ],
  methodTitle6: ["Échanges et remplissage", "Exchanges and fullness"],
  method6: [
    "Les jours où l’on connaît le remplissage et les échanges commerciaux, rangés du stockage le plus vide au plus plein en trois ou dix groupes égaux, et les moyennes de chaque groupe ; hors saison, ce sont les écarts à la moyenne du jour de l’année. La réponse suit la corrélation hors saison, avec son intervalle à 95 %.",
    "The days on which fullness and commercial exchanges are known, from the emptiest storage to the fullest in three or ten equal groups, and each group’s means; beyond the season these are differences from the mean of the day of the year. The answer follows the correlation beyond the season, with its 95 % interval.",
  ],

  // Table
  tableOfDays: ["Tableau des jours", "Table of the days"],
  search: ["Chercher", "Search"],
  searchHint: ["une date, une catégorie, une filière…", "a date, a category, a source…"],
  csv: ["Télécharger en CSV", "Download as CSV"],
  rowsShown: ["{n} {n|jour|jours} sur {all}", "{n} of {all} days"],
  sortBy: ["Trier par {column}", "Sort by {column}"],
  topDestination: ["Première destination", "Top destination"],
  category: ["Catégorie", "Category"],
  series: ["Série", "Series"],
  colDay: ["Jour", "Day"],
  colComplete: ["Complet", "Complete"],
  yes: ["oui", "yes"],
  no: ["non", "no"],

  // Figures' own buttons
  picture: ["Image", "Picture"],
  pictureOf: ["Télécharger l’image : {title}", "Download the picture: {title}"],
  pictureFailed: ["L’image n’a pas pu être faite.", "The picture could not be made."],
  asTable: ["Données du graphique", "The chart’s data"],
  source: ["Source : ODRÉ (RTE, gestionnaires de stockage de gaz, Météo-France)", "Source: ODRÉ (RTE, gas storage operators, Météo-France)"],
  sampleMark: ["DONNÉES D’EXEMPLE", "SAMPLE DATA"],
  dataOf: ["Données lues le {at}", "Data read on {at}"],
};

/** What gives the texts of a language; in a text `{n}` stands for a value, and `{n|day|days}` for the word that fits it. */
export function textsOf(lang) {
  const index = LANGUAGES.indexOf(lang);
  const plural = new Intl.PluralRules(lang);
  // French signs stand behind spaces at which no line breaks.
  const spaced = (text) => (lang === "fr" ? text.replace(/ (?=[;?!%])/g, "\u202f").replaceAll(" :", "\u00a0:") : text);
  return (key, values = {}) => {
    if (!(key in TEXTS)) throw new Error(`no text ${key}`);
    return spaced(TEXTS[key][index]).replace(/\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g, (_, name, one, many) => {
      if (one === undefined) return values[name];
      return plural.select(values[name]) === "one" ? one : many;
    });
  };
}
