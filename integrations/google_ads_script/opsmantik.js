/**
 * OpsMantik for Google Ads: fetches the conversions that are due, uploads them, and says what became of them.
 *
 * Paste it under Tools > Bulk actions > Scripts of the account that owns the conversion action, fill in the three lines
 * below, authorise it, and let it run every hour. README.md beside this file says it step by step.
 *
 *   claim  ->  one bulk upload  ->  acknowledge, or say what failed      until nothing is due
 *
 * It never uploads anything that it has not claimed; what it claims and does not acknowledge is handed out again as it was,
 * half an hour later. That is harmless, since every row has an order id: Google takes each once.
 */

var OPSMANTIK = {
  url: 'https://leads.example.com', // your OpsMantik, without a slash at the end
  site: '', // the site's public id, from its settings
  key: '', // a key of the site with the scope conversions:export
};

var LIMIT = 500; // rows in one upload
var STOP_AFTER_MS = 25 * 60 * 1000; // Google ends a script after 30 minutes, wherever it is
var TRIES = 4;
var NEW_COLUMNS = [
  'Order ID',
  'Google Click ID',
  'WBRAID',
  'GBRAID',
  'Conversion Name',
  'Conversion Time',
  'Conversion Value',
  'Conversion Currency',
  'Ad User Data',
  'Ad Personalization',
];
var ADJUSTMENT_COLUMNS = [
  'Order ID',
  'Conversion Name',
  'Adjustment Time',
  'Adjustment Type',
  'Adjusted Value',
  'Adjusted Value Currency',
];
// 2026-11-22 10:00:00+0300: without its offset a time would be read by the account's clock.
var TIME = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d{4}$/;

function main() {
  var started = Date.now();
  var door = new Door(OPSMANTIK);
  if (AdsApp.getExecutionInfo().isPreview()) {
    tell('preview: ' + rowsOf(door.peek()).length + ' rows are due; a preview claims and uploads none');
    return;
  }
  var sent = 0;
  var refused = 0;
  while (Date.now() - started < STOP_AFTER_MS) {
    var batch = door.claim();
    if (!batch.batchId) {
      tell('done: ' + sent + ' rows uploaded, ' + refused + ' refused here; nothing more is due');
      return;
    }
    var checked = check(batch);
    if (checked.good.length > 0 && !upload(batch, checked.good, door)) {
      return; // the next run goes on with it
    }
    door.acknowledge(batch, checked.bad);
    sent += checked.good.length;
    refused += checked.bad.length;
  }
  tell('stopped in time: ' + sent + ' rows uploaded, ' + refused + ' refused here; the next run goes on');
}

/** Hands the rows to Google. False where nobody can know whether they arrived: then the batch stays as it is. */
function upload(batch, rows, door) {
  var isNew = batch.items.length > 0;
  try {
    var file = AdsApp.bulkUploads().newCsvUpload(isNew ? NEW_COLUMNS : ADJUSTMENT_COLUMNS, {
      moneyInMicros: false,
      timeZone: batch.timeZone,
    });
    file.forOfflineConversions();
    file.setFileName('opsmantik-' + (isNew ? 'conversions-' : 'adjustments-') + batch.batchId + '.csv');
    for (var i = 0; i < rows.length; i++) {
      file.append(isNew ? conversion(rows[i]) : adjustment(rows[i]));
    }
    file.apply();
    return true;
  } catch (error) {
    door.undelivered(rows, error);
    tell('the upload did not go through: ' + wordsOf(error));
    return false;
  }
}

function conversion(row) {
  return {
    'Order ID': row.orderId,
    'Google Click ID': row.gclid || '',
    WBRAID: row.wbraid || '',
    GBRAID: row.gbraid || '',
    'Conversion Name': row.conversionName,
    'Conversion Time': row.conversionTime,
    'Conversion Value': row.conversionValue,
    'Conversion Currency': row.conversionCurrency,
    'Ad User Data': row.adUserData,
    'Ad Personalization': row.adPersonalization,
  };
}

function adjustment(row) {
  var isRestated = row.adjustmentType === 'RESTATE';
  return {
    'Order ID': row.orderId,
    'Conversion Name': row.conversionName,
    'Adjustment Time': row.adjustmentTime,
    'Adjustment Type': row.adjustmentType,
    'Adjusted Value': isRestated ? row.adjustedValue : '',
    'Adjusted Value Currency': isRestated ? row.adjustedValueCurrency : '',
  };
}

/** Rows that Google would certainly refuse are not uploaded: one bad row is easier found here than in its report. */
function check(batch) {
  var found = { good: [], bad: [] };
  rowsOf(batch).forEach(function (row) {
    var code = batch.items.length > 0 ? wrongWithConversion(row) : wrongWithAdjustment(row);
    if (code === null) {
      found.good.push(row);
    } else {
      found.bad.push({ id: row.id, status: 'FAILED', errorCode: code });
    }
  });
  return found;
}

function wrongWithConversion(row) {
  var ids = [row.gclid, row.wbraid, row.gbraid].filter(function (id) {
    return Boolean(id);
  });
  if (!row.orderId) return 'MISSING_ORDER_ID';
  if (ids.length !== 1) return ids.length ? 'SEVERAL_CLICK_IDS' : 'MISSING_CLICK_ID';
  if (!row.conversionName) return 'MISSING_CONVERSION_NAME';
  if (!TIME.test(row.conversionTime)) return 'INVALID_TIME_FORMAT';
  if (!(Number(row.conversionValue) >= 0)) return 'INVALID_VALUE';
  return null;
}

function wrongWithAdjustment(row) {
  if (!row.orderId) return 'MISSING_ORDER_ID';
  if (!row.conversionName) return 'MISSING_CONVERSION_NAME';
  if (!TIME.test(row.adjustmentTime)) return 'INVALID_TIME_FORMAT';
  if (row.adjustmentType === 'RESTATE' && !(Number(row.adjustedValue) >= 0)) return 'INVALID_VALUE';
  if (row.adjustmentType !== 'RESTATE' && row.adjustmentType !== 'RETRACT') return 'INVALID_ADJUSTMENT';
  return null;
}

function rowsOf(batch) {
  return batch.items.concat(batch.adjustments);
}

/** All that is asked of OpsMantik. The key is swapped for a token of an hour once a run, and is in no address and no log. */
function Door(config) {
  this.url = config.url.replace(/\/+$/, '');
  this.site = config.site;
  this.key = config.key;
  this.token = null;
  if (!this.site || !this.key || !/^https?:\/\//.test(this.url)) {
    throw new Error('fill in url, site and key at the top of the script');
  }
}

Door.prototype.peek = function () {
  return this.ask('get', '/api/oci/google-ads-export?siteId=' + encodeURIComponent(this.site) + '&limit=' + LIMIT);
};

Door.prototype.claim = function () {
  var path = '/api/oci/google-ads-export?siteId=' + encodeURIComponent(this.site) + '&limit=' + LIMIT;
  return this.ask('get', path + '&markAsExported=true');
};

/** Google takes an upload without a word about its rows: what was handed over counts as accepted. */
Door.prototype.acknowledge = function (batch, bad) {
  this.ask('post', '/api/oci/ack', { siteId: this.site, batchId: batch.batchId, rest: 'accepted', results: bad });
};

Door.prototype.undelivered = function (rows, error) {
  var ids = rows.map(function (row) {
    return row.id;
  });
  this.ask('post', '/api/oci/ack-failed', {
    siteId: this.site,
    queueIds: ids,
    errorCode: 'UPLOAD_FAILED',
    errorMessage: wordsOf(error),
    errorCategory: 'UNKNOWN',
  });
};

Door.prototype.ask = function (method, path, body) {
  if (this.token === null) {
    this.token = this.fetch('post', '/api/oci/v2/verify', { siteId: this.site }, { 'X-Api-Key': this.key }).session_token;
  }
  return this.fetch(method, path, body, { Authorization: 'Bearer ' + this.token });
};

/** One answer, as JSON. What may pass (429, 5xx, no connection) is tried again; all else stops the script. */
Door.prototype.fetch = function (method, path, body, headers) {
  var options = { method: method, headers: headers, muteHttpExceptions: true };
  if (body) {
    options.contentType = 'application/json';
    options.payload = JSON.stringify(body);
    headers['X-OpsMantik-Signature'] = signature(options.payload, this.key);
  }
  var said = '';
  for (var attempt = 0; attempt < TRIES; attempt++) {
    var wait = 2000 * Math.pow(2, attempt);
    try {
      var answer = UrlFetchApp.fetch(this.url + path, options);
      var status = answer.getResponseCode();
      if (status >= 200 && status < 300) return JSON.parse(answer.getContentText());
      said = 'HTTP ' + status + ' ' + codeOf(answer);
      if (status !== 429 && status < 500) break;
      wait = Math.max(wait, Math.min(60000, 1000 * Number(header(answer, 'retry-after') || 0)));
    } catch (error) {
      said = wordsOf(error);
    }
    if (attempt < TRIES - 1) Utilities.sleep(wait);
  }
  throw new Error('OpsMantik did not answer ' + path.split('?')[0] + ': ' + said);
};

/** The code of a refusal: what else is in it is nobody's business in a log. */
function codeOf(answer) {
  try {
    var problem = JSON.parse(answer.getContentText());
    return [problem.code, problem.kind].filter(Boolean).join(' ').replace(/[^a-z_ ]/g, '');
  } catch (error) {
    return '';
  }
}

function header(answer, name) {
  var all = answer.getHeaders();
  for (var key in all) {
    if (key.toLowerCase() === name) return all[key];
  }
  return null;
}

/** HMAC-SHA256 of the body with the key, in hexadecimal: whoever has only the token cannot acknowledge anything unseen. */
function signature(text, key) {
  return Utilities.computeHmacSha256Signature(text, key, Utilities.Charset.UTF_8)
    .map(function (byte) {
      return ('0' + (byte & 255).toString(16)).slice(-2);
    })
    .join('');
}

/** An error's first words, without anything that could be a key, an id or an address. */
function wordsOf(error) {
  return String((error && error.message) || error)
    .replace(/\S*[@\d]\S*|\S{25,}/g, '...')
    .slice(0, 200);
}

function tell(words) {
  Logger.log('OpsMantik: ' + words);
}
