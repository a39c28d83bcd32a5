// Connecting connects to a server that may not be there yet: it gives each attempt some
// time, and after one that has failed waits longer than before until the next.
//
//	node tcp_client/connecting/main.js --tries=9
'use strict'
const { once } = require('node:events')
const net = require('node:net')
const { setTimeout: sleep } = require('node:timers/promises')
const { parseArgs } = require('node:util')

const { addr, timeout, tries, pause, block } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  timeout: { type: 'string', default: '5s' },
  tries: { type: 'string', default: '1' },
  pause: { type: 'string', default: '100ms' },
  block: { type: 'string', default: '' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)
const stop = new AbortController()

// Node 20 has no option blockList, and would connect.
function blocked () {
  if (!block) return
  if (!net.BlockList.isBlockList) throw new Error('this Node has no option blockList')
  const list = new net.BlockList()
  const [network, prefix] = block.split('/')
  list.addSubnet(network, +prefix, /:/.test(network) ? 'ipv6' : 'ipv4')
  return list
}

async function connect () {
  for (let n = 1, wait = ms(pause); ; n++, wait = Math.min(2 * wait, Math.max(wait, 60000))) {
    // Returns at once, and events tell the rest. The signal destroys it, a timeout is only news.
    const socket = net.connect({ host, port, signal: stop.signal, timeout: ms(timeout), blockList: blocked() })
    socket.on('timeout', () => socket.destroy(new Error(`connect ${addr}: no answer in ${timeout}`)))
    try {
      await once(socket, 'connect') // or an 'error', which it throws
      return socket.setTimeout(0) // else it goes on: it is for silence, and this peer may be silent
    } catch (err) {
      if (n === +tries || err.code === 'ENOTFOUND' || stop.signal.aborted) throw err
      const time = Math.round(wait * (1 + Math.random() / 2))
      console.log(`attempt ${n}: ${err.message || err.code}; again in ${time}ms`)
      await sleep(time, null, { signal: stop.signal })
    }
  }
}

async function main () {
  const socket = await connect()
  console.log('connected to', at(socket.remoteAddress, socket.remotePort),
    'from', at(socket.localAddress, socket.localPort))
  socket.resume() // until the peer's FIN: then Node closes by itself
  await once(socket, 'close')
}

main().catch((err) => {
  if (stop.signal.aborted) return
  console.error(`connecting: ${err.message || err.code}`)
  process.exit(1)
}).then(() => console.log('closed'))

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => stop.abort())
}

function at (ip, port) {
  return /:/.test(ip) ? `[${ip}]:${port}` : `${ip}:${port}`
}

// ms reads a time as Go writes it: 1m30s, 200ms.
function ms (time) {
  const unit = { h: 3600e3, m: 60e3, s: 1e3, ms: 1 }
  return [...time.matchAll(/([\d.]+)(ms|[hms])/g)].reduce((sum, [, n, u]) => sum + n * unit[u], 0)
}
